// The rows of the bench: what is measured against what. Runs in the bench process, as root, in a mount namespace of
// its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  bareContainer,
  benchDir,
  collect,
  debian,
  exitedPods,
  flyImage,
  outputOf,
  removeData,
  removeTree,
  rkt,
  rktWith,
  sleepImage,
  trueImage,
  warmStore,
} from './fixtures.ts';
import { EXECUTOR_ROWS } from './executor-rows.ts';
import { IMAGE_ROWS } from './image-rows.ts';
import { KVM_ROWS } from './kvm-rows.ts';
import { CLEAN_ENVIRONMENT, median, peakMemory, timeOnce, type Contestant } from './measure.ts';
import { networkRow } from './network-row.ts';
import { type Measured, NODE, ratio, type Row } from './row.ts';

function runRow(name: string, flags: readonly string[], theirs: Contestant): Measured {
  const { file, key } = trueImage();
  const { command, data } = warmStore(name, file, 'run', ...flags);
  try {
    return ratio({ name, command: [...command, 'run', ...flags, key] }, theirs, 20);
  } finally {
    collect(command);
    removeData(data);
  }
}

function prepareRow(): Measured {
  const { file, key } = trueImage();
  const { command, data } = warmStore('prepare', file, 'prepare');
  try {
    return ratio({ name: 'prepare', command: [...command, 'prepare', key] }, NODE, 30);
  } finally {
    collect(command);
    removeData(data);
  }
}

function listRow(): Measured {
  const { file } = trueImage();
  const none = rktWith('list-none');
  const many = rktWith('list-1000');
  for (const { data } of [none, many]) removeData(data);
  timeOnce([...none.command, 'list']);
  exitedPods(many.command, many.data, file, 1000);
  try {
    const lines = outputOf([...many.command, 'list', '--no-legend'])
      .trim()
      .split('\n').length;
    if (lines !== 1000) throw new Error(`list prints ${lines} lines for 1000 pods`);
    const empty = { name: 'list with none', command: [...none.command, 'list'] };
    return ratio({ name: 'list', command: [...many.command, 'list'] }, empty, 20);
  } finally {
    for (const { data } of [none, many]) removeData(data);
  }
}

function gcRow(): Measured {
  const { file, key } = trueImage();
  const { command, data } = warmStore('gc', file, 'run', '--net=none');
  const perPod: number[] = [];
  try {
    collect(command);
    for (let round = 0; round < 10; round += 1) {
      for (let pod = 0; pod < 100; pod += 1) timeOnce([...command, 'run', '--net=none', key]);
      const elapsed = timeOnce([...command, 'gc', '--grace-period=0s']);
      const left = outputOf([...command, 'list', '--no-legend']).trim();
      if (left !== '') throw new Error(`gc left pods: ${left}`);
      perPod.push(elapsed / 100);
    }
  } finally {
    removeData(data);
  }
  return {
    value: median(perPod),
    detail: `10 batches of 100 pods, ${Math.min(...perPod).toFixed(1)} at least`,
  };
}

/** An empty store for each fetch. */
function emptyStore(name: string): { command: string[]; empty: () => void } {
  const { command, data } = rktWith(name);
  return { command, empty: () => removeData(data) };
}

function fetchRow(): Measured {
  const image = debian();
  const { command, empty } = emptyStore('fetch');
  const target = path.join(benchDir, 'pipeline');
  const pipeline = `gzip -dc "$0" | tee >(sha512sum >/dev/null) | tar -xpf - -C "$1"; wait`;
  const renew = (): void => {
    removeTree(target);
    fs.mkdirSync(target, { recursive: true });
  };
  try {
    const ours = { name: 'fetch', command: [...command, 'fetch', image], before: empty };
    const theirs = { name: 'pipeline', command: ['bash', '-c', pipeline, image, target], before: renew };
    const measured = ratio(ours, theirs, 10);
    return { ...measured, detail: `${(fs.statSync(image).size / 1e6).toFixed(0)} MB, ${measured.detail}` };
  } finally {
    empty();
    removeTree(target);
  }
}

async function fetchMemoryRow(): Promise<Measured> {
  const { command, empty } = emptyStore('fetch-memory');
  const peaks: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    empty();
    peaks.push((await peakMemory([...command, 'fetch', debian()])) / 1e6);
  }
  empty();
  return {
    value: Math.max(...peaks),
    detail: `VmHWM of ${peaks.map((peak) => peak.toFixed(0)).join(', ')} MB`,
  };
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function processes(): Process[] {
  const found: Process[] = [];
  for (const pid of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      found.push({ pid: Number(pid), parent, command });
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** Everything that descends from `pid`, itself included. */
function family(pid: number): Process[] {
  const all = processes();
  const members = all.filter((each) => each.pid === pid);
  for (let at = 0; at < members.length; at += 1) {
    members.push(...all.filter((each) => each.parent === members[at]?.pid));
  }
  return members;
}

const EXPECTED = [/systemd-nspawn/, /systemd\/systemd( |$)/, /systemd-journald/, /^\/busybox sleep/];

async function processesRow(): Promise<Measured> {
  const { file, key } = sleepImage();
  const { command, data } = warmStore('processes', file, 'fetch');
  const [program, ...args] = [...command, 'run', '--net=none', key];
  const pod = spawn(program, args, { env: CLEAN_ENVIRONMENT, stdio: 'ignore' });
  const ended = once(pod, 'close');
  try {
    const pid = pod.pid ?? 0;
    for (
      let wait = 0;
      wait < 100 && !family(pid).some((each) => EXPECTED[3]?.test(each.command));
      wait += 1
    ) {
      await sleep(100);
    }
    // The app has started; what only helps at the start is gone a moment later.
    await sleep(1000);
    const members = family(pid);
    const ours = members.filter(({ command: line }) => !EXPECTED.some((pattern) => pattern.test(line)));
    if (members.length <= ours.length) throw new Error('the pod did not start');
    return {
      value: ours.length,
      detail: `${members.length} processes${ours.map((each) => `; ${each.command.slice(0, 60)}`).join('')}`,
    };
  } finally {
    const uuid = outputOf([...command, 'list', '--no-legend', '--full']).split(/\s/)[0] ?? '';
    timeOnce([...command, 'stop', '--force', uuid]);
    await ended;
    collect(command);
    removeData(data);
  }
}

export const ROWS: readonly Row[] = [
  {
    name: 'version',
    title: 'rkt version : node -e 0',
    measure: () => ratio({ name: 'version', command: [rkt, 'version'] }, NODE, 30),
  },
  {
    name: 'run-nspawn',
    title: 'run --net=none, nspawn : bare systemd-nspawn --boot',
    measure: () => runRow('run-nspawn', ['--net=none'], { name: 'bare nspawn', command: bareContainer() }),
  },
  { name: 'run-net', title: 'run --net=default : run --net=none', measure: networkRow },
  {
    name: 'run-fly',
    title: 'run --net=host, fly : node -e 0',
    measure: () => runRow('run-fly', ['--net=host', `--stage1-image=${flyImage}`], NODE),
  },
  { name: 'prepare', title: 'prepare (overlay) : node -e 0', measure: prepareRow },
  { name: 'list-1000', title: 'list of 1000 exited pods : list of none', measure: listRow },
  { name: 'gc-100', title: 'gc --grace-period=0 of 100 exited pods', measure: gcRow },
  { name: 'fetch', title: 'fetch of a Debian image : gzip | sha512sum | tar', measure: fetchRow },
  { name: 'fetch-memory', title: 'peak memory of that fetch', measure: fetchMemoryRow },
  { name: 'processes', title: 'processes of ours beside a running nspawn pod', measure: processesRow },
  ...IMAGE_ROWS,
  ...EXECUTOR_ROWS,
  ...KVM_ROWS,
];
