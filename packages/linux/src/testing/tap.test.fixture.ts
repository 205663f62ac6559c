// Makes an Ethernet device; prints what ip(8) says of it while its descriptor is open, and afterwards.

import { spawnSync } from 'node:child_process';
import { closeSync } from 'node:fs';

import { openKernel } from '../libc.ts';

const NAME = 'rkt-test0';
const device = (): string => spawnSync('ip', ['-oneline', 'link', 'show', NAME], { encoding: 'utf8' }).stdout;

const fd = openKernel().openTap(NAME);
const open = device();
closeSync(fd);
console.log(JSON.stringify({ open, closed: device() }));
