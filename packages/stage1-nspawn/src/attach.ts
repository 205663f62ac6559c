// The entry point attach: connects the caller to the endpoints of an app, or lists them (contract 1.6, 8.2). stage0 takes
// this program from the tree store, never from the pod. Working directory P; stays on the host.
//
// The pod is looked into through the root of its PID 1, so it does not matter where stage1 is mounted for whom. What is
// found there is only opened by its path, and is a socket, or a terminal, or refused.

import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_PATH, O_RDONLY } from '@rkt/linux/constants';
import { execProgram } from '@rkt/linux/exec';
import { openInRoot, openRoot, procFdPath } from '@rkt/linux/safe-path';
import { type AttachArguments, type AttachPart, parseAttachArguments } from '@rkt/pod-layout/crossing';
import { RKT_STAGE1_ENTERPID } from '@rkt/pod-layout/environment';
import { podDir } from '@rkt/pod-layout/pod-paths';
import { muxEndpointsIn, muxSocketIn, muxStreamIn } from '@rkt/pod-layout/stage1-paths';
import type { EntryPointCall } from '@rkt/stage1-base/entry-point';

import { findPodInit } from './app-process.ts';
import { NspawnError } from './errors.ts';

/** The program this one becomes, beside it in the image. */
const CONNECTION = 'usr/lib/rkt/attach';

const ENDPOINTS = ['stdin', 'stdout', 'stderr', 'tty'] as const;
type Endpoint = (typeof ENDPOINTS)[number];

/** More than four endpoints of the longest name need. */
const MOST_LIST_BYTES = 16 * 1024;

/** Majors of terminals that are not devices of the machine: Documentation/admin-guide/devices.txt. */
const PTS_MAJORS = { first: 136, last: 143 };

/** Becomes the connection, or prints the list. @throws NspawnError `refused`, `process-gone` */
export function attach({ args, env, cwd, program: self }: EntryPointCall): number {
  const request = parseAttachArguments(args);
  const init = findPodInit(podDir(cwd), Number(env[RKT_STAGE1_ENTERPID] ?? '0'));
  const root = openRoot(`/proc/${init}/root`);
  const list = readList(root, request.app);
  if (request.action === 'list') {
    // Four spaces, no line feed at the end: as rkt 1.30 printed it.
    writeStdout(JSON.stringify(list, undefined, 4));
    return 0;
  }
  const open: number[] = [];
  const keep = (fd: number): number => {
    open.push(fd);
    return fd;
  };
  const words = wantedWords(request, list).map(([word, endpoint]) => {
    return `${word}:${keep(openSocket(root, request.app, endpoint))}`;
  });
  if (words.some((word) => word.startsWith('tty'))) {
    words.push(`size:${keep(openTerminal(root, request.app))}`);
  }
  const connection = path.join(path.dirname(self), CONNECTION);
  return execProgram(connection, ['attach', ...words], {}, { keepOpen: open });
}

/** The list as the multiplexer wrote it. */
interface EndpointList {
  readonly version: number;
  readonly targets: readonly { readonly name: string; readonly domain: string; readonly address: string }[];
}

function readList(root: number, app: string): EndpointList {
  let text: string;
  try {
    const fd = openInRoot(root, muxEndpointsIn(app), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.size > MOST_LIST_BYTES) throw noEndpoints(app);
      text = readFileSync(fd, 'utf8');
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw hasCode(error, 'ENOENT') ? noEndpoints(app) : error;
  }
  return JSON.parse(text) as EndpointList;
}

function noEndpoints(app: string): NspawnError {
  return new NspawnError('refused', `app ${quote(app)} has nothing to attach to`, {
    hint: 'only an app that runs, with a stream of mode stream or tty, can be attached to',
  });
}

// Each connection to make, as the program that makes it calls it.
function wantedWords(
  { action, parts, app }: AttachArguments,
  { targets }: EndpointList,
): (readonly [string, Endpoint])[] {
  const present = ENDPOINTS.filter((endpoint) => targets.some(({ name }) => name === endpoint));
  if (action === 'auto-attach') return present.map((endpoint) => [endpoint, endpoint]);
  const wanted = (part: AttachPart): boolean => parts.includes(part);
  const words: (readonly [string, Endpoint])[] = (['stdin', 'stdout', 'stderr'] as const)
    .filter(wanted)
    .map((endpoint) => [endpoint, endpoint]);
  if (wanted('tty-in') && wanted('tty-out')) words.push(['tty', 'tty']);
  else if (wanted('tty-in')) words.push(['tty-in', 'tty']);
  else if (wanted('tty-out')) words.push(['tty-out', 'tty']);
  for (const [, endpoint] of words) {
    if (present.includes(endpoint)) continue;
    throw new NspawnError('refused', `app ${quote(app)} has no endpoint ${quote(endpoint)}`, {
      hint: `it has ${present.join(', ')}`,
    });
  }
  return words;
}

function openSocket(root: number, app: string, endpoint: Endpoint): number {
  const fd = openInRoot(root, muxSocketIn(app, endpoint), O_PATH | O_NOFOLLOW);
  if (!fstatSync(fd).isSocket()) throw new NspawnError('refused', `endpoint ${quote(endpoint)} is no socket`);
  return fd;
}

// By its path first: opening a device of another kind could do something.
function openTerminal(root: number, app: string): number {
  const fd = openInRoot(root, muxStreamIn(app, 'pts'), O_PATH);
  const stat = fstatSync(fd);
  const major = (stat.rdev >> 8) & 0xfff;
  if (!stat.isCharacterDevice() || major < PTS_MAJORS.first || major > PTS_MAJORS.last) {
    throw new NspawnError('refused', 'the terminal of the app is none');
  }
  const terminal = openSync(procFdPath(fd), constants.O_RDWR | O_NOCTTY | O_NONBLOCK);
  closeSync(fd);
  return terminal;
}
