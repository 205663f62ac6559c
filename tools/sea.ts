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

/** The name of the script in stack traces. */
const SCRIPT = 'rkt.cjs';

/** How programs come by what the executable holds. */
const ASSETS = `'use strict';
const { getRawAsset } = require('node:sea');
const { Script } = require('node:vm');
const read = (asset) => Buffer.from(getRawAsset(asset)).latin1Slice();
`;

/**
 * What node starts: the bundle, with the code that was compiled for what it is to do. A cache costs by its size, used
 * or not: the commands that make pods have their own, chosen by a guess that costs only time where it is wrong.
 */
const bootstrap = (specials: readonly SpecialCache[], libraries: readonly string[]): string => `${ASSETS}
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
const special = ${JSON.stringify(specials)}.find(({ words }) => process.argv.some((word) => words.includes(word)));
const cachedData = new Uint8Array(getRawAsset(special === undefined ? 'cache' : special.name + '.cache'));
new Script(read('script'), { filename: '${SCRIPT}', cachedData }).runInThisContext()(load, module, exports, __filename, __dirname);
`;

/** What a thread starts: the script of its name, with its code. */
const threadBootstrap = (name: string): string => `${ASSETS}
const cachedData = new Uint8Array(getRawAsset('${name}.cache'));
new Script(read('${name}.cjs'), { filename: '${name}.cjs', cachedData }).runInThisContext()(require, module, exports, '', '');
`;

const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  '--disable-sigusr1',
  '--min-semi-space-size=8',
  '--max-semi-space-size=8',
  '--v8-pool-size=1',
];

const WRAPPER_START = '(function (require, module, exports, __filename, __dirname) {';

/** Starts with one of these words among the arguments have a list of hot functions, and a code cache, of their own. */
export interface SpecialCache {
  /** Its name in the list. */
  readonly name: string;
  readonly words: readonly string[];
}

/** A program that a thread runs. */
export interface ThreadProgram {
  /** A CommonJS bundle, with its source map beside it. */
  readonly script: string;
  /** Whose hot functions are its own as well. */
  readonly hotFunctions: string;
}

export interface ExecutableOptions {
  /** A CommonJS bundle, with its source map beside it. */
  readonly script: string;
  readonly output: string;
  /** Its name in the list of hot functions. */
  readonly name: string;
  /** Names of libraries that the script asks `require` for, and their scripts: read when they are wanted. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** By the names under which the script asks for their text. */
  readonly threads?: Readonly<Record<string, ThreadProgram>>;
  /** The first that fits is taken. */
  readonly specials?: readonly SpecialCache[];
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
  specials = [],
}: ExecutableOptions): void {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-sea-'));
  try {
    const list = readJson<HotFunctions>(hotFunctionsFile);
    const assets: Record<string, string> = {};
    const addScript = (asset: string, from: string, file: string): void => {
      writeWrapped(from, path.join(work, file));
      assets[asset] = file;
    };
    const addCache = (asset: string, from: string, file: string, functions: string): void => {
      const hot = hotFunctionsOf(from, functions, list).map(({ end }) => WRAPPER_START.length + end);
      fs.writeFileSync(path.join(work, asset), buildCodeCache(path.join(work, file), hot));
      assets[asset] = asset;
    };
    addScript('script', script, SCRIPT);
    addCache('cache', script, SCRIPT, name);
    for (const special of specials) addCache(`${special.name}.cache`, script, SCRIPT, special.name);
    for (const [library, file] of Object.entries(libraries)) addScript(library, file, path.basename(file));
    for (const [thread, { script: own, hotFunctions }] of Object.entries(threads)) {
      const file = `${thread}.cjs`;
      addScript(file, own, file);
      addCache(`${thread}.cache`, own, file, hotFunctions);
      fs.writeFileSync(path.join(work, thread), threadBootstrap(thread));
      assets[thread] = thread;
    }
    fs.writeFileSync(path.join(work, 'bootstrap.cjs'), bootstrap(specials, Object.keys(libraries)));
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
