// `npm run profile`: runs the commands whose speed counts, and writes the names of the functions they call to
// code-cache/hot-functions.json. The build compiles these ahead of time. Runs on the developer's machine, as root, in
// a mount namespace of its own.
//
// An old list does no harm: a function that is not in it is compiled when it is first called.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { sleepImage, trueImage, benchDir, removeData } from './bench/fixtures.ts';
import { bundleRkt, bundleThreads } from './build-rkt.ts';
import { build } from './build.ts';
import { buildStage1, bundleStage1 } from './build-stage1/build.ts';
import { FLAVORS, type Flavor } from './build-stage1/flavors.ts';
import { hotFunctionsFile, type HotFunctions, listFunctions } from './code-cache/hot-functions.ts';
import { inMountNamespace } from './mount-namespace.ts';
import { pinnedNode } from './pinned-node.ts';
import { bundlesDir, cacheDir, runTool } from './workspace.ts';

const directory = path.join(cacheDir, 'profile');
const records = path.join(directory, 'records');
/** Records of commands that make pods of what is stored already; those of all others are beside them. */
const launches = path.join(records, 'launches');
/** Of those that copy it. */
const copies = path.join(records, 'copies');
const data = path.join(directory, 'data');
const node = [pinnedNode, '--disable-warning=ExperimentalWarning'];
const recorder = ['--require', path.join(import.meta.dirname, 'code-cache/record.cjs')];
const rktScript = path.join(bundlesDir, 'stage0.cjs');

function rktCommand(...args: string[]): string[] {
  return [...node, ...recorder, rktScript, `--dir=${data}`, '--insecure-options=image', ...args];
}

function rkt(args: readonly string[], environment: NodeJS.ProcessEnv = { RKT_PROFILE: records }): string {
  const [program = '', ...words] = rktCommand(...args);
  const env = { PATH: process.env['PATH'], ...environment };
  return execFileSync(program, words, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/** An image whose entry points are our script under the recorder, called by their own names. */
async function recordedStage1(flavor: Flavor): Promise<string> {
  const words = [...node, ...recorder, (await bundleStage1(flavor)).script];
  const entryPoint = `#!/bin/bash\nexec -a "$0" ${words.join(' ')} "$@"\n`;
  await buildStage1({ flavor, frozen: false, output: directory, entryPoint, warn: console.error });
  return `--stage1-image=${path.join(directory, `stage1-${flavor}.aci`)}`;
}

async function runCommands(stage1: string, net: string): Promise<void> {
  const run = ['run', net, stage1];
  const app = trueImage().key;
  rkt([...run, app], { RKT_PROFILE: launches });
  rkt(['list']);
  const uuid = rkt(['prepare', stage1, app], { RKT_PROFILE: launches }).trim();
  rkt(['run-prepared', net, uuid], { RKT_PROFILE: launches });
  rkt(['status', uuid]);
  rkt(['prepare', '--no-overlay', stage1, app], { RKT_PROFILE: copies });
  rkt([...run, '--no-overlay', app], { RKT_PROFILE: copies });
  const [program = '', ...words] = rktCommand(...run, sleepImage().file);
  const env = { PATH: process.env['PATH'], RKT_PROFILE: records };
  const pod = spawn(program, words, { env, stdio: 'ignore' });
  const running = (): string | undefined =>
    /^(\S+)\t.*\trunning\t/m.exec(rkt(['list', '--full', '--no-legend'], {}))?.[1];
  for (let wait = 0; wait < 50 && running() === undefined; wait += 1)
    await new Promise((done) => setTimeout(done, 200));
  const sleeping = running() ?? '';
  await new Promise((done) => setTimeout(done, 1000));
  try {
    rkt(['enter', sleeping, '/busybox', 'true']);
  } finally {
    rkt(['stop', '--force', sleeping]);
    await once(pod, 'close');
  }
  rkt(['gc', '--grace-period=0s']);
}

/** Module to the sorted names of the functions of `program` that were called in some record of these directories. */
function calledFunctions(program: string, directories: readonly string[]): Record<string, string[]> {
  const functions = listFunctions(path.join(bundlesDir, `${program}.cjs`));
  const modules = new Map<string, Set<string>>();
  const called = new Set<string>();
  for (const file of directories.flatMap((each) => recordsOf(program, each))) {
    const text = fs.readFileSync(file, 'utf8');
    // A process that was killed has written nothing.
    const ranges = (text === '' ? [] : JSON.parse(text)) as [number, number][];
    for (const [, end] of ranges) called.add(String(end));
  }
  for (const { end, key } of functions) {
    if (!called.has(String(end))) continue;
    const separator = key.indexOf('#');
    const module = key.slice(0, separator);
    modules.set(module, (modules.get(module) ?? new Set()).add(key.slice(separator + 1)));
  }
  return Object.fromEntries(
    [...modules].sort(([a], [b]) => (a < b ? -1 : 1)).map(([m, names]) => [m, [...names].sort()]),
  );
}

/** `stage1-fly-<uuid>.json` is a record of stage1-fly. */
function recordsOf(program: string, where: string): string[] {
  const length = program.length + 1 + 36 + '.json'.length;
  return fs
    .readdirSync(where)
    .filter((file) => file.startsWith(`${program}-`) && file.length === length)
    .map((file) => path.join(where, file));
}

async function main(): Promise<void> {
  if (!inMountNamespace(build)) return;
  removeData(data);
  fs.rmSync(records, { recursive: true, force: true });
  for (const each of [launches, copies]) fs.mkdirSync(each, { recursive: true });
  fs.mkdirSync(benchDir, { recursive: true });
  await bundleRkt(rktScript);
  await bundleThreads();
  rkt(['version']);
  rkt(['fetch', trueImage().file], {});
  for (const flavor of FLAVORS) {
    const stage1 = await recordedStage1(flavor);
    const net = flavor === 'fly' ? '--net=host' : '--net=none';
    // The first run reads and renders the images; that is not what is to be fast.
    rkt(['run', net, stage1, trueImage().key], {});
    await runCommands(stage1, net);
  }
  removeData(data);
  const list = Object.fromEntries([
    ['stage0', calledFunctions('stage0', [records])],
    ['stage0-launches', calledFunctions('stage0', [launches])],
    ['stage0-copies', calledFunctions('stage0', [copies])],
    ...FLAVORS.map((flavor) => `stage1-${flavor}`).map((name) => [
      name,
      calledFunctions(name, [records, launches, copies]),
    ]),
  ]) as HotFunctions;
  fs.writeFileSync(hotFunctionsFile, `${JSON.stringify(list, null, 1)}\n`);
  for (const [name, modules] of Object.entries(list)) {
    console.log(
      `${name}: ${Object.values(modules).flat().length} functions of ${Object.keys(modules).length} modules`,
    );
  }
}

await runTool('profile', main);
