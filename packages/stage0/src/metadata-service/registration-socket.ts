// The socket at which stage0 registers pods: given by systemd, or made here (contract stage1 6.1). Runs in the metadata
// service.
//
// A lock on the socket's directory says whose the socket is. The kernel drops it when the service ends, however it
// ends, so a socket without the lock is a dead service's, and is replaced.

import { fstatSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect } from 'node:net';

import { wrap } from '@rkt/diagnostics/rkt-error';
import { type FileLock, lockDirectory } from '@rkt/linux/file-lock';
import {
  METADATA_SOCKET,
  METADATA_SOCKET_DIR,
  METADATA_SOCKET_DIR_MODE,
  METADATA_SOCKET_MODE,
} from '@rkt/pod-layout/metadata-service';

import { MetadataError } from './errors.ts';
import { close, listen } from './listen.ts';

/** sd_listen_fds(3): the first socket. */
const ACTIVATED_FD = 3;

/** A socket that is being listened on. */
export interface RegistrationSocket {
  close(graceMs: number): Promise<void>;
}

/** Where the socket is; tests have their own. */
export interface SocketPlace {
  readonly directory: string;
  readonly path: string;
}

const PLACE: SocketPlace = { directory: METADATA_SOCKET_DIR, path: METADATA_SOCKET };

/**
 * Listens for registrations.
 * @throws MetadataError `socket-taken`, `cannot-listen`
 */
export async function openRegistrationSocket(
  server: Server,
  env: Readonly<Record<string, string>>,
  place: SocketPlace = PLACE,
): Promise<RegistrationSocket> {
  if (isActivated(env)) {
    await listenOnActivated(server);
    return { close: (graceMs) => close(server, graceMs) };
  }
  const lock = lockPlace(place);
  try {
    await removeDeadSocket(place.path);
    await listenWithMode(server, place.path);
  } catch (error) {
    lock.release();
    throw error;
  }
  return {
    async close(graceMs) {
      // This also removes the socket.
      await close(server, graceMs);
      lock.release();
    },
  };
}

// LISTEN_PID is not needed, as rkt 1.30 did not look at it; but when it is another's, so are the sockets.
function isActivated({ LISTEN_FDS = '', LISTEN_PID = '' }: Readonly<Record<string, string>>): boolean {
  if (!/^[1-9]\d{0,3}$/.test(LISTEN_FDS)) return false;
  return LISTEN_PID === '' || LISTEN_PID === String(process.pid);
}

async function listenOnActivated(server: Server): Promise<void> {
  const where = `the socket from systemd (descriptor ${ACTIVATED_FD})`;
  if (!isSocket(ACTIVATED_FD))
    throw new MetadataError('cannot-listen', `cannot listen on ${where}: it is none`);
  await listen(server, where, { fd: ACTIVATED_FD });
  // Pods must not be able to register pods. A unix socket that was made elsewhere has no address here.
  if (server.address() !== null) {
    server.close();
    throw new MetadataError('cannot-listen', `cannot listen on ${where}: it is no unix socket`, {
      hint: `use ListenStream=${METADATA_SOCKET}`,
    });
  }
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket();
  } catch {
    return false;
  }
}

function lockPlace({ directory, path }: SocketPlace): FileLock {
  let lock: FileLock | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: METADATA_SOCKET_DIR_MODE });
    lock = lockDirectory(directory, { exclusive: true, wait: false });
  } catch (cause) {
    throw wrap(`cannot make ${path}`, cause);
  }
  if (lock === undefined) throw taken(path);
  return lock;
}

async function removeDeadSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new MetadataError('socket-taken', `${path} is there and no socket`, { hint: 'remove it' });
  }
  // A service of rkt 1.30 does not take the lock.
  if (await answers(path)) throw taken(path);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'));
  });
}

// The socket is made within the call, so nobody sees it with another mode.
async function listenWithMode(server: Server, path: string): Promise<void> {
  const before = process.umask(0o777 & ~METADATA_SOCKET_MODE);
  try {
    await listen(server, path, { path });
  } finally {
    process.umask(before);
  }
}

function taken(path: string): MetadataError {
  return new MetadataError('socket-taken', `another metadata service listens on ${path}`);
}
