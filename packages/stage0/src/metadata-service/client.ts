// One request to the metadata service over its unix socket (contract stage1 6.3). Runs in stage0; loaded only when a pod
// is, or is to be, registered.

import { request } from 'node:http';

import { METADATA_SOCKET } from '@rkt/pod-layout/metadata-service';

import { MetadataError } from './errors.ts';

/** Where the service is and how long to wait for it. */
export interface ServiceAccess {
  readonly socket: string;
  readonly tries: number;
  /** Milliseconds between two tries. */
  readonly pauseMs: number;
}

export const SERVICE: ServiceAccess = { socket: METADATA_SOCKET, tries: 3, pauseMs: 1000 };

/** A service that does not answer for this long is stuck. */
const PATIENCE_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** What is asked. */
export interface ServiceRequest {
  readonly method: 'PUT' | 'DELETE';
  /** Without the query, which is secret: this is what errors show. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/**
 * The body of the service's answer.
 * @throws MetadataError `unreachable`, or `refused` for any status but 200
 */
export async function askService(what: ServiceRequest, access: ServiceAccess = SERVICE): Promise<string> {
  const { status, body } = await persistently(access, () => send(what, access.socket));
  if (status === 200) return body;
  throw new MetadataError('refused', `${what.method} ${what.path} returned ${status}`);
}

/** Makes sure that somebody listens. @throws MetadataError `unreachable` */
export async function probeService(access: ServiceAccess = SERVICE): Promise<void> {
  const { connect } = await import('node:net');
  await persistently(
    access,
    () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(access.socket, () => {
          socket.destroy();
          resolve();
        });
        socket.once('error', reject);
      }),
  );
}

async function persistently<T>({ socket, tries, pauseMs }: ServiceAccess, act: () => Promise<T>): Promise<T> {
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await act();
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      // A service that is being started has its socket already, or systemd has it.
      if (left <= 0 || code === 'ENOENT' || code === 'EACCES')
        throw unreachable(socket, REASONS[code] ?? message);
    }
    await new Promise((resolve) => {
      setTimeout(resolve, pauseMs);
    });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'is not there',
  EACCES: 'is not ours to use',
  ECONNREFUSED: 'is left over from a service that has ended',
};

function unreachable(socket: string, reason: string): MetadataError {
  return new MetadataError('unreachable', `could not reach the metadata service. ${socket}: ${reason}`, {
    hint: 'start it with `rkt metadata-service`, or run the pod without --mds-register',
  });
}

function send(
  { method, path, query, body = '' }: ServiceRequest,
  socketPath: string,
): Promise<{ status: number; body: string }> {
  const target = query === undefined ? path : `${path}?${new URLSearchParams(query).toString()}`;
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const outgoing = request({ socketPath, method, path: target, headers, agent: false }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        if (text.length < MAX_ANSWER_BYTES) text += chunk;
      });
      incoming.once('end', () => resolve({ status: incoming.statusCode ?? 0, body: text }));
      incoming.once('error', reject);
    });
    outgoing.setTimeout(PATIENCE_MS, () => outgoing.destroy(new Error('does not answer')));
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
