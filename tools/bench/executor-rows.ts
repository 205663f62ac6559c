// Rows of what apps may ask for: limits, enter, copies. Runs in the bench process.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  benchDir,
  collect,
  debian,
  inodesAreFree,
  outputOf,
  removeData,
  removeTree,
  rktWith,
  sleepImage,
  trueImage,
  warmStore,
} from './fixtures.ts';
import { CLEAN_ENVIRONMENT, type Contestant, timeOnce } from './measure.ts';
import { type Measured, NODE, ratio, type Row } from './row.ts';

const LIMITS: readonly string[] = [
  '--seccomp=mode=remove,errno=EPERM,mkdir,@systemd/clock',
  '--caps-retain=CAP_KILL,CAP_NET_BIND_SERVICE',
  '--user=1000',
  '--group=100',
  '--memory=64M',
];

function limitsRow(): Measured {
  const { file, key } = trueImage();
  const { command, data } = warmStore('run-limits', file, 'run', '--net=none');
  const plain: Contestant = { name: 'plain run', command: [...command, 'run', '--net=none', key] };
  try {
    return ratio({ name: 'run', command: [...plain.command, ...LIMITS] }, plain, 30);
  } finally {
    collect(command);
    removeData(data);
  }
}

async function enterRow(): Promise<Measured> {
  const { file, key } = sleepImage();
  const { command, data } = warmStore('enter', file, 'fetch');
  const [program, ...args] = [...command, 'run', '--net=none', key];
  const pod = spawn(program, args, { env: CLEAN_ENVIRONMENT, stdio: 'ignore' });
  const ended = once(pod, 'close');
  const uuid = await runningPod(command);
  try {
    return ratio({ name: 'enter', command: [...command, 'enter', uuid, '/busybox', 'true'] }, NODE, 30);
  } finally {
    timeOnce([...command, 'stop', '--force', uuid]);
    await ended;
    collect(command);
    removeData(data);
  }
}

/** The UUID of the one pod, once a command can enter it. */
export async function runningPod(command: readonly string[]): Promise<string> {
  for (let wait = 0; wait < 100; wait += 1) {
    const [line = ''] = outputOf([...command, 'list', '--no-legend', '--full']).split('\n');
    const [uuid = ''] = line.split(/\s/);
    const ready = [...command, 'enter', uuid, '/busybox', 'true'];
    if (line.includes('running') && spawnSync(ready[0] ?? '', ready.slice(1)).status === 0) return uuid;
    await sleep(100);
  }
  throw new Error('the pod did not start');
}

async function copyRow(): Promise<Measured> {
  const image = debian();
  const { command, data } = rktWith('copy');
  removeData(data);
  const tree = path.join(benchDir, 'copy-source');
  const target = path.join(benchDir, 'copy-target');
  // Nothing is deleted between rounds, nor for minutes before: ext4 passes by the inodes of deleted files one by one,
  // which costs either side seconds and says nothing about it. Nor does either pay for what the other has yet to write.
  let round = 0;
  const keep = (): void => {
    if (fs.existsSync(target)) fs.renameSync(target, `${target}-${(round += 1)}`);
    spawnSync('sync', ['--file-system', benchDir]);
  };
  const clear = (): void => {
    for (const name of fs.readdirSync(benchDir).filter((entry) => entry.startsWith('copy-'))) {
      removeTree(path.join(benchDir, name));
    }
  };
  try {
    clear();
    await inodesAreFree();
    // Its first preparation imports, renders and copies; the second only copies.
    const key = outputOf([...command, 'fetch', image]).trim();
    timeOnce([...command, 'prepare', '--no-overlay', key]);
    timeOnce([...command, 'image', 'render', key, tree]);
    const ours = { name: 'prepare', command: [...command, 'prepare', '--no-overlay', key], before: keep };
    // stage1's tree is copied as well. Neither waits for the disk to have it all (docs/decisions/0059).
    const theirs = { name: 'cp -a', command: ['cp', '-a', tree, target], before: keep };
    return ratio(ours, theirs, 10);
  } finally {
    removeData(data);
    clear();
  }
}

export const EXECUTOR_ROWS: readonly Row[] = [
  {
    name: 'run-limits',
    title: 'run with seccomp, capabilities, user and memory : plain run',
    measure: limitsRow,
  },
  { name: 'enter', title: 'enter true : node -e 0', measure: enterRow },
  { name: 'prepare-copy', title: 'prepare --no-overlay of a Debian image : cp -a', measure: copyRow },
];
