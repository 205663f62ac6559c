// Rows of pods in virtual machines, in milliseconds: there is nothing to compare them with. Where the machine is emulated
// the times are those of the emulation (docs/decisions/0057). Runs in the bench process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { distDir } from '../workspace.ts';
import { runningPod } from './executor-rows.ts';
import { collect, debian, outputOf, removeData, sleepImage, warmStore } from './fixtures.ts';
import { CLEAN_ENVIRONMENT, median, timeOnce } from './measure.ts';
import type { Measured, Row } from './row.ts';

const RUN: readonly string[] = [
  'run',
  '--net=none',
  `--stage1-image=${path.join(distDir, 'stage1-kvm.aci')}`,
];

function measured(command: readonly string[], rounds: number): Measured {
  const times = Array.from({ length: rounds }, () => timeOnce(command));
  const [least, most] = [Math.min(...times), Math.max(...times)].map((time) => time.toFixed(0));
  return { value: median(times), detail: `${rounds} rounds, least ${least} ms, most ${most}` };
}

function runRow(): Measured {
  const uname = ['--exec=/bin/uname', '--', '-r'];
  const { command, data } = warmStore('run-kvm', debian(), 'fetch');
  const key = outputOf([...command, 'fetch', debian()]).trim();
  const run = [...command, ...RUN, key, ...uname];
  try {
    // Stores and renders.
    timeOnce(run);
    return measured(run, 5);
  } finally {
    collect(command);
    removeData(data);
  }
}

async function enterRow(): Promise<Measured> {
  const { file, key } = sleepImage();
  const { command, data } = warmStore('enter-kvm', file, 'fetch');
  const [program, ...args] = [...command, ...RUN, key];
  const pod = spawn(program, args, { env: CLEAN_ENVIRONMENT, stdio: 'ignore' });
  const ended = once(pod, 'close');
  const uuid = await runningPod(command);
  try {
    return measured([...command, 'enter', uuid, '/busybox', 'true'], 10);
  } finally {
    timeOnce([...command, 'stop', '--force', uuid]);
    await ended;
    collect(command);
    removeData(data);
  }
}

export const KVM_ROWS: readonly Row[] = [
  { name: 'run-kvm', title: 'run of uname in a Debian image, in a virtual machine', measure: runRow },
  { name: 'enter-kvm', title: 'enter true, in a virtual machine', measure: enterRow },
];
