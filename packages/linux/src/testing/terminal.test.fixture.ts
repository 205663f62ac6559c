// Makes the terminal on its standard input raw and puts it back; prints what stty(1) says at each step.

import { spawnSync } from 'node:child_process';

import { openKernel } from '../libc.ts';

const stty = (option: string): string =>
  spawnSync('stty', [option], { stdio: ['inherit', 'pipe', 'inherit'], encoding: 'utf8' }).stdout;

const kernel = openKernel();
const before = stty('-g');
const settings = kernel.makeTerminalRaw(0);
const raw = stty('-a');
kernel.setTerminal(0, settings);
console.log(JSON.stringify({ before, raw, after: stty('-g') }));
