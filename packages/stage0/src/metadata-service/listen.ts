// Starts and ends listening, with errors that say where. Runs in the metadata service.

import type { ListenOptions, Server } from 'node:net';

import { MetadataError } from './errors.ts';

/** Listens, and resolves once connections are taken. @throws MetadataError `cannot-listen` */
export function listen(
  server: Server,
  where: string,
  options: ListenOptions & { fd?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException): void => {
      const reason = REASONS[cause.code ?? ''] ?? cause.message;
      reject(new MetadataError('cannot-listen', `cannot listen on ${where}: ${reason}`));
    };
    server.once('error', fail);
    server.listen(options, () => {
      server.off('error', fail);
      resolve();
    });
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program does',
  EADDRNOTAVAIL: 'this host does not have the address',
  EACCES: 'permission denied',
};

/** What can stop taking connections while it finishes those it has. */
interface Closable {
  close(done: () => void): unknown;
  closeAllConnections(): void;
}

/** Takes no more connections and ends those without a request; after `graceMs` the others too. */
export function close(server: Closable, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
