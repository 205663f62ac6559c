// The streams of a command that runs in a pod: frames on a socket of qemu, joined to those of this process until the guest
// says how the command has ended. Runs in the enter entry point.

import { randomBytes } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';

import type { Kernel } from '@rkt/linux/kernel';

import { frame, FRAME_BYTES, FrameReader, frames, PADDING } from './enter-frames.ts';
import { encodeSize } from './enter-plan.ts';
import { enterSocket } from './qemu-args.ts';

/** How much of standard input the guest holds for a command that does not read it. */
const WINDOW_BYTES = 65536;
const NONCE_BYTES = 16;

/** Signals that are handed on. */
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;

/** What to relay. */
export interface Relay {
  readonly slot: number;
  /** Bytes that say what to run, asked for when the guest is there. */
  readonly plan: () => Buffer;
  /** A person sits at both streams of this process. */
  readonly terminal: boolean;
}

/** Relays until the command has ended. Its exit status; undefined when the pod has ended first. */
export async function relayStreams(
  kernel: Kernel,
  { slot, plan, terminal }: Relay,
): Promise<number | undefined> {
  const socket = await connect(slot);
  const reader = new FrameReader(randomBytes(NONCE_BYTES));
  // A guest that is starting takes a while to answer: until then signals and ctrl-C end this process, as any other.
  if (!(await answered(socket, reader))) return undefined;
  const settings = terminal ? kernel.makeTerminalRaw(0) : undefined;
  const stop = handOnEvents(socket, terminal);
  try {
    socket.write(Buffer.concat([frames('P', plan()), frame('R')]));
    return await statusFrom(socket, reader, giveInput(socket));
  } finally {
    stop();
    process.stdin.pause();
    socket.destroy();
    if (settings !== undefined) kernel.setTerminal(0, settings);
  }
}

/** Calls the guest. False when the pod ends before it answers. */
function answered(socket: Socket, reader: FrameReader): Promise<boolean> {
  socket.write(PADDING);
  socket.write(frame('B', reader.nonce));
  return new Promise((resolve) => {
    const ended = (): void => resolve(false);
    const listen = (part: Buffer): void => {
      reader.read(part);
      if (!reader.begun) return;
      socket.off('data', listen).off('close', ended);
      resolve(true);
    };
    socket.on('data', listen).once('close', ended);
  });
}

function connect(slot: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(enterSocket(slot));
    socket.once('error', reject).once('connect', () => {
      resolve(socket.off('error', reject).on('error', () => undefined));
    });
  });
}

function handOnEvents(socket: Socket, terminal: boolean): () => void {
  const listeners = SIGNALS.map((name) => {
    const listener = (): void => void socket.write(frame('S', Buffer.of(constants.signals[name])));
    process.on(name, listener);
    return () => process.off(name, listener);
  });
  const resize = (): void => {
    const { rows, columns } = process.stdout;
    socket.write(frame('W', encodeSize({ rows, columns })));
  };
  if (terminal) process.stdout.on('resize', resize);
  return () => {
    for (const stop of listeners) stop();
    process.stdout.off('resize', resize);
  };
}

/** Sends standard input, no more of it than the guest has room for; returns what to call when it has taken some. */
function giveInput(socket: Socket): (taken: number) => void {
  let room = WINDOW_BYTES;
  let held: Buffer = Buffer.alloc(0);
  let ended = false;
  const give = (): void => {
    while (held.length > 0 && room > 0) {
      const part = held.subarray(0, Math.min(held.length, room, FRAME_BYTES));
      socket.write(frame('I', part));
      room -= part.length;
      held = held.subarray(part.length);
    }
    if (held.length === 0 && ended) {
      socket.write(frame('C'));
      ended = false;
    } else if (held.length === 0) {
      process.stdin.resume();
    }
  };
  const end = (): void => {
    ended = true;
    give();
  };
  process.stdin
    .on('data', (part: Buffer) => {
      process.stdin.pause();
      held = part;
      give();
    })
    .once('end', end)
    .once('error', end);
  return (taken) => {
    room += taken;
    if (held.length > 0) give();
  };
}

function statusFrom(
  socket: Socket,
  reader: FrameReader,
  onTaken: (taken: number) => void,
): Promise<number | undefined> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve(undefined));
    socket.on('data', (part: Buffer) => {
      for (const { letter, bytes } of reader.read(part)) {
        if (letter === 'O') pass(socket, process.stdout, bytes);
        else if (letter === 'E') pass(socket, process.stderr, bytes);
        else if (letter === 'A' && bytes.length === 2) onTaken(bytes.readUInt16LE());
        else if (letter === 'X') resolve(bytes[0] ?? 0);
      }
    });
  });
}

function pass(socket: Socket, to: Writable, bytes: Buffer): void {
  if (to.write(bytes)) return;
  socket.pause();
  to.once('drain', () => socket.resume());
}
