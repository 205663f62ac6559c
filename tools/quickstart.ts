// `npm run quickstart`: from a clone to a running pod. Builds, makes a small real image, runs a pod of two apps, shows
// what is left of it, and says what to try next. Runs on the developer's machine, as root; twice in a row as well.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { writeAci } from '@rkt/testkit/aci-builder';
import { busyboxFiles } from '@rkt/testkit/busybox';
import { imageManifest } from '@rkt/testkit/manifests';
import { build } from './build.ts';
import { cacheDir, runTool, workspaceRoot } from './workspace.ts';

/** Inside the clone: what quickstart leaves goes away with it, and /var/lib/rkt stays as it is. */
const directory = path.join(cacheDir, 'quickstart');
const image = path.join(directory, 'busybox.aci');
const uuidFile = path.join(directory, 'uuid');

const relative = (file: string): string => path.relative(workspaceRoot, file);
const RKT = ['dist/rkt', `--dir=${relative(path.join(directory, 'data'))}`];
const QUOTED = /[^\w@%+=:,./-]/;

function say(text: string): void {
  console.log(`\n# ${text}`);
}

function shown(words: readonly string[]): string {
  return words.map((word) => (QUOTED.test(word) ? `'${word.replaceAll("'", `'\\''`)}'` : word)).join(' ');
}

/** Shows and runs a command. Throws when it fails. */
function run(...words: string[]): void {
  console.log(`$ ${shown(words)}`);
  const [program = '', ...args] = words;
  const { status, signal } = spawnSync(path.join(workspaceRoot, program), args, {
    cwd: workspaceRoot,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`${shown(words)}: ${signal ?? `exit status ${status}`}`);
}

function main(): void {
  if (process.getuid?.() !== 0) throw new Error('rkt runs pods as root: run this as root');
  say('Building dist/rkt, dist/stage1-nspawn.aci and dist/stage1-fly.aci');
  build();

  say("Making an image of Debian's static busybox");
  fs.mkdirSync(directory, { recursive: true });
  const manifest = imageManifest({ name: 'example.com/busybox', version: '1.0.0', exec: ['/bin/sh', '-c'] });
  const { key } = writeAci(image, { manifest, files: busyboxFiles(), compression: 'gzip' });
  console.log(`${relative(image)}: ${(fs.statSync(image).size / 1e6).toFixed(1)} MB, ${key.slice(0, 19)}`);

  // What an earlier quickstart left would only clutter the list below.
  spawnSync(path.join(workspaceRoot, 'dist/rkt'), [...RKT.slice(1), 'gc', '--grace-period=0s'], {
    cwd: workspaceRoot,
  });

  say('Running a pod of two apps, each in its own root, under one systemd');
  const names = ['--insecure-options=image', 'run', '--net=none', `--uuid-file-save=${relative(uuidFile)}`];
  const hello = [relative(image), '--name=hello', '--', 'echo "hello from $AC_APP_NAME on $(hostname)"'];
  const facts = [
    relative(image),
    '--name=facts',
    '--',
    'echo "process 1 is $(cat /proc/1/comm); my root has: $(ls / | xargs)"',
  ];
  run(...RKT, ...names, ...hello, '---', ...facts);
  const uuid = fs.readFileSync(uuidFile, 'utf8').trim();

  say('What rkt knows of it');
  run(...RKT, 'list');
  run(...RKT, 'status', uuid);

  say('Try next');
  const here = RKT.join(' ');
  const shell = `--insecure-options=image run --net=none --interactive ${relative(image)} --exec=/bin/sh`;
  console.log(`${here} ${shell}`);
  console.log(
    `${here} --insecure-options=image run --stage1-image=dist/stage1-fly.aci --net=host ${relative(image)} -- id`,
  );
  console.log(`${here} gc --grace-period=0s`);
}

await runTool('quickstart', main);
