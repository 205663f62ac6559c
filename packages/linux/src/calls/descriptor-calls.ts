// Descriptors that lead to other processes and devices, over libc. Runs wherever the kernel is opened.

import { closeSync, openSync } from 'node:fs';

import { O_CLOEXEC, O_NONBLOCK } from '../constants.ts';
import { check, int, lazySymbol } from '../ffi.ts';
import type { DescriptorCalls } from '../kernel.ts';

const pipe2 = lazySymbol('pipe2', 2);
const socketpair = lazySymbol('socketpair', 4);
const fcntl = lazySymbol('fcntl', 3);
const ioctl = lazySymbol('ioctl', 3);

const O_ASYNC = 0o20000;
const [AF_UNIX, SOCK_STREAM, SOCK_CLOEXEC] = [1n, 1n, 0o2000000n];
const [F_SETFL, F_SETOWN, F_SETSIG] = [4n, 8n, 10n];

// linux/if_tun.h, and struct ifreq of netdevice(7): a name of 16 bytes, then flags.
const TUN_DEVICE = '/dev/net/tun';
const TUNSETIFF = 0x400454can;
const [IFF_TAP, IFF_NO_PI, IFF_VNET_HDR] = [0x2, 0x1000, 0x4000];
// termios(3) as the kernel has it: four words of flags, a byte, and 19 characters.
const [TCGETS, TCSETS] = [0x5401n, 0x5402n];
const TERMIOS_BYTES = 36;
const FLAG_WORDS = { input: 0, output: 4, control: 8, local: 12 } as const;
const CHARACTERS = 17;
const [VTIME, VMIN] = [5, 6];
/** What cfmakeraw(3) takes away of each word, and gives. */
const NOT_RAW = { input: 0o2753, output: 0o1, control: 0o460, local: 0o100113 } as const;
const CS8 = 0o60;
const SIOCSIFFLAGS = 0x8914n;
const IFF_UP = 0x1;
const IFREQ_BYTES = 40;
const NAME_BYTES = 16;

/** The descriptor calls of the real kernel. */
export const descriptorCalls: DescriptorCalls = {
  pipe() {
    const [read, write] = pair((fds) => check(pipe2()(fds, int(O_CLOEXEC)), 'pipe2'));
    return { read, write };
  },
  socketPair() {
    return pair((fds) => check(socketpair()(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0n, fds), 'socketpair'));
  },
  signalOnInput(fd, pid, signal) {
    check(fcntl()(int(fd), F_SETOWN, int(pid)), 'fcntl');
    check(fcntl()(int(fd), F_SETSIG, int(signal)), 'fcntl');
    check(fcntl()(int(fd), F_SETFL, int(O_ASYNC | O_NONBLOCK)), 'fcntl');
  },
  setBlocking(fd) {
    check(fcntl()(int(fd), F_SETFL, 0n), 'fcntl');
  },
  makeTerminalRaw(fd) {
    const before = Buffer.alloc(TERMIOS_BYTES);
    check(ioctl()(int(fd), TCGETS, before), 'ioctl', 'TCGETS');
    const raw = Buffer.from(before);
    for (const word of ['input', 'output', 'control', 'local'] as const) {
      const offset = FLAG_WORDS[word];
      raw.writeUInt32LE((raw.readUInt32LE(offset) & ~NOT_RAW[word]) >>> 0, offset);
    }
    raw.writeUInt32LE(raw.readUInt32LE(FLAG_WORDS.control) | CS8, FLAG_WORDS.control);
    raw[CHARACTERS + VMIN] = 1;
    raw[CHARACTERS + VTIME] = 0;
    check(ioctl()(int(fd), TCSETS, raw), 'ioctl', 'TCSETS');
    return before;
  },
  setTerminal(fd, settings) {
    check(ioctl()(int(fd), TCSETS, settings), 'ioctl', 'TCSETS');
  },
  openTap(name) {
    const fd = openSync(TUN_DEVICE, 'r+');
    const request = Buffer.alloc(IFREQ_BYTES);
    request.write(name, 0, NAME_BYTES - 1, 'latin1');
    request.writeUInt16LE(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR, NAME_BYTES);
    try {
      check(ioctl()(int(fd), TUNSETIFF, request), 'ioctl', name);
      raise(request);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  },
};

// Devices are told of their flags through a socket of any kind.
function raise(request: Buffer): void {
  const sockets = pair((fds) =>
    check(socketpair()(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0n, fds), 'socketpair'),
  );
  try {
    request.writeUInt16LE(IFF_UP, NAME_BYTES);
    check(ioctl()(int(sockets[0]), SIOCSIFFLAGS, request), 'ioctl', 'SIOCSIFFLAGS');
  } finally {
    sockets.forEach((fd) => closeSync(fd));
  }
}

function pair(make: (fds: Int32Array) => void): readonly [number, number] {
  const fds = new Int32Array(2);
  make(fds);
  return [fds[0] ?? -1, fds[1] ?? -1];
}
