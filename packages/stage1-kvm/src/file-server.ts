// virtiofsd, which serves the pod's root to its machine: a program of the host, beside qemu, which ends when qemu does.
// When it ends first, qemu is sent SIGUSR2 (tools/build-stage1/vm-exit.c); when qemu is killed, it says so
// (tools/build-stage1/vm-killed.c). Runs in the run entry point.

import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { createServer, type Server } from 'node:net';

import { SIGUSR2 } from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';
import { type PodDir, virtualMachineFile } from '@rkt/pod-layout/pod-paths';

import { KvmError } from './errors.ts';
import { hostLibrary } from './host-library.ts';

/** Where distributions put it: Debian 12 with qemu, others by itself. */
const PROGRAMS: readonly string[] = ['/usr/lib/qemu/virtiofsd', '/usr/libexec/virtiofsd'];

const LISTEN_FD = 3;
const STDERR_FD = 2;

/** A file server that runs. */
export interface FileServer {
  /** Socket, relative to the pod directory. */
  readonly socket: string;
  /** A pipe that ends with it; qemu must inherit it. */
  readonly ended: number;
  /** A pipe to it, for what qemu has to say of itself; qemu must inherit it. */
  readonly letters: number;
}

/** The program. @throws KvmError `no-hypervisor` */
export function findFileServer(): string {
  const program = PROGRAMS.find((file) => existsSync(file));
  if (program !== undefined) return program;
  throw new KvmError(
    'no-hypervisor',
    'virtiofsd is not installed: install the Debian package qemu-system-common',
  );
}

/** Starts it for `root`, in the mount namespace of this thread. `pid` is told of its end. */
export async function startFileServer(
  kernel: Kernel,
  pod: PodDir,
  { program, root, pid }: { readonly program: string; readonly root: string; readonly pid: number },
): Promise<FileServer> {
  const socket = 'virtiofs';
  const server = createServer();
  // Relative to the working directory: names of sockets are short (unix(7)).
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(virtualMachineFile(socket), resolve);
  });
  const log = openSync(`${pod}/${virtualMachineFile('virtiofsd.log')}`, 'w', 0o640);
  const { read, write } = kernel.pipe();
  const letters = kernel.pipe();
  // virtiofsd waits for its one connection.
  kernel.setBlocking(listeningFd(server));
  const child = spawn(
    program,
    [
      `--fd=${LISTEN_FD}`,
      '-f',
      '-o',
      `source=${root}`,
      '-o',
      'cache=auto',
      '-o',
      'xattr',
      '-o',
      'announce_submounts',
    ],
    {
      // vm-killed.c knows the last three by their numbers, 4 to 6.
      stdio: ['ignore', log, log, listeningFd(server), write, letters.read, STDERR_FD],
      env: { LD_PRELOAD: hostLibrary('vm-killed') },
      detached: true,
    },
  );
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve).once('error', reject);
  });
  for (const fd of [log, write, letters.read]) closeSync(fd);
  kernel.signalOnInput(read, pid, SIGUSR2);
  return { socket: virtualMachineFile(socket), ended: read, letters: letters.write };
}

// node has no name for it.
function listeningFd(server: Server): number {
  return (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}
