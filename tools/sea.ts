// Makes a single executable out of a bundle and the pinned node: `node --build-sea`. Runs at build time.
//
// Reproducible: the same bundle, list of hot functions and node give the same bytes. The settings, and why:
//  - node is cut down before the script goes in (150 MB -> 116 MB), see elf.ts;
//  - the script is an asset beside its code cache, since node's own cache holds no function but the outermost;
//    large libraries that few commands want are assets of their own: each start reads the script, used or not;
//  - execArgvExtension "none": NODE_OPTIONS of the caller's environment must not reach a program that runs as root;
//  - node:ffi prints an ExperimentalWarning, which is no business of the user's;
//  - SIGUSR1 opens no debugger on a program that runs as root, where every user of the machine could connect;
//  - a start makes a megabyte of garbage, where V8 first collects, with threads that wait for each other: 4 ms. With
//    more room it does not come to that, and one thread beside our own is enough for what is left. No more room than
//    that: fetching a large image would make it 64 MB of young garbage;
//    Flags that change what V8 compiles would make it refuse the code caches of node and ours; these do not.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildCodeCache, nodeBuildEnvironment } from './code-cache/code-cache.ts';
import { hotFunctionsFile, hotFunctionsOf, type HotFunctions } from './code-cache/hot-functions.ts';
import { pinnedNode, trimmedNode } from './pinned-node.ts';
import { readJson } from './workspace.ts';

/**
 * What node starts: the bundle, with the code that was compiled for what it is to do. A cache costs by its size, used
 * or not: the commands that make pods have one of their own, chosen by a guess that costs only time where it is wrong.
 */
const bootstrap = (words: readonly string[], libraries: readonly string[]): string => `'use strict';
const { getRawAsset } = require('node:sea');
const { Script } = require('node:vm');
const read = (asset) => Buffer.from(getRawAsset(asset)).latin1Slice();
const evaluated = new Map(${JSON.stringify(libraries)}.map((name) => [name, undefined]));
const load = (name) => {
  if (!evaluated.has(name)) return require(name);
  let library = evaluated.get(name);
  if (library === undefined) {
    evaluated.set(name, (library = { exports: {} }));
    new Script(read(name), { filename: name }).runInThisContext()(require, library, library.exports, __filename, __dirname);
  }
  return library.exports;
};
const special = process.argv.some((word) => ${JSON.stringify(words)}.includes(word));
const cachedData = new Uint8Array(getRawAsset(special ? 'special-cache' : 'cache'));
new Script(read('script'), { filename: 'rkt.cjs', cachedData }).runInThisContext()(load, module, exports, __filename, __dirname);
`;

const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--disable-sigusr1',
  '--min-semi-space-size=8',
  '--max-semi-space-size=8',
  '--v8-pool-size=1',
];

const WRAPPER_START = '(function (require, module, exports, __filename, __dirname) {';

export interface ExecutableOptions {
  /** A CommonJS bundle, with its source map beside it. */
  readonly script: string;
  readonly output: string;
  /** Its name in the list of hot functions. */
  readonly name: string;
  /** Names of libraries that the script asks `require` for, and their scripts: read when they are wanted. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** Scripts of threads, by the names under which the script asks for their text. */
  readonly threads?: Readonly<Record<string, string>>;
  /** Another name there, for starts with one of these words among the arguments. */
  readonly special?: { readonly name: string; readonly words: readonly string[] };
}

/** The script as one expression, so that it can be compiled alone and called with node's `require`. */
function writeWrapped(script: string, output: string): void {
  const text = fs.readFileSync(script, 'utf8').replace(/^#!/, '//');
  const outside = /[^\0-\xff]/.exec(text);
  if (outside !== null)
    throw new Error(`${script}: ${JSON.stringify(outside[0])} is not written as an escape`);
  fs.writeFileSync(output, `${WRAPPER_START}${text}\n})`, 'latin1');
}

function writeNew(from: string, output: string): void {
  fs.mkdirSync(path.dirname(output), { recursive: true });
  // A new file moved into place: the old one may be running, and a pod survives its replacement.
  const beside = `${output}.new`;
  fs.copyFileSync(from, beside);
  fs.chmodSync(beside, 0o755);
  fs.renameSync(beside, output);
}

/** Writes the executable `output`. Throws what node reports. */
export function buildSingleExecutable({
  script,
  output,
  name,
  libraries = {},
  threads = {},
  special,
}: ExecutableOptions): void {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-sea-'));
  try {
    const wrapped = path.join(work, 'rkt.cjs');
    writeWrapped(script, wrapped);
    const list = readJson<HotFunctions>(hotFunctionsFile);
    const writeCache = (file: string, functions: string): void => {
      const hot = hotFunctionsOf(script, functions, list).map(({ end }) => WRAPPER_START.length + end);
      fs.writeFileSync(path.join(work, file), buildCodeCache(wrapped, hot));
    };
    writeCache('cache', name);
    if (special !== undefined) writeCache('special-cache', special.name);
    const assets: Record<string, string> = { cache: 'cache', script: 'rkt.cjs' };
    if (special !== undefined) assets['special-cache'] = 'special-cache';
    for (const [library, file] of Object.entries(libraries)) {
      assets[library] = path.basename(file);
      writeWrapped(file, path.join(work, path.basename(file)));
    }
    for (const [thread, file] of Object.entries(threads)) assets[thread] = file;
    fs.writeFileSync(
      path.join(work, 'bootstrap.cjs'),
      bootstrap(special?.words ?? [], Object.keys(libraries)),
    );
    fs.symlinkSync(trimmedNode(), path.join(work, 'node'));
    const config = {
      main: 'bootstrap.cjs',
      mainFormat: 'commonjs',
      executable: './node',
      output: './output',
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: false,
      execArgv: NODE_FLAGS,
      execArgvExtension: 'none',
      assets,
    };
    fs.writeFileSync(path.join(work, 'sea.json'), JSON.stringify(config));
    execFileSync(pinnedNode, ['--build-sea', 'sea.json'], {
      cwd: work,
      env: nodeBuildEnvironment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    writeNew(path.join(work, 'output'), output);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}
