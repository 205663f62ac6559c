// Lets those who want the same URL at the same time, in this process or in several, share one download. Losing the
// lease costs double work and nothing else: the files are locked, and the database is a database. Runs in stage0.

import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { ImageKey } from '@rkt/spec/image-id';

import type { RemoteRow } from '../store/rows.ts';
import type { ImageStore } from '../store/store.ts';
import type { FetchContext } from './context.ts';
import { temporaryPath } from './download.ts';
import { withLease } from './lease.ts';

/** A download that others may want, too. */
export interface SharedDownload {
  readonly url: URL;
  /** What of this process makes the same of the URL. */
  readonly purpose: string;
  /** Whether what another process stored meanwhile will do. */
  readonly accepts: (row: RemoteRow) => boolean;
}

const inFlight = new WeakMap<ImageStore, Map<string, Promise<ImageKey>>>();

/**
 * Downloads by `work`, unless somebody else is doing it: then waits and takes what is stored under `address` after that.
 */
export async function shareDownload(
  context: FetchContext,
  address: string,
  download: SharedDownload,
  work: () => Promise<ImageKey>,
): Promise<ImageKey> {
  const running = inFlight.get(context.store) ?? new Map<string, Promise<ImageKey>>();
  inFlight.set(context.store, running);
  const id = `${download.purpose} ${download.url.href}`;
  for (let other = running.get(id); other !== undefined; other = running.get(id)) {
    try {
      return await other;
    } catch (error) {
      // Given up for the sake of an image that is not this one.
      if (!hasCode(error, 'cancelled') || context.signal?.aborted === true) throw error;
      if (running.get(id) === other) running.delete(id);
    }
  }
  const own = amongProcesses(context, address, download, work);
  running.set(id, own);
  try {
    return await own;
  } finally {
    if (running.get(id) === own) running.delete(id);
  }
}

async function amongProcesses(
  { store, logger }: FetchContext,
  address: string,
  { url, accepts }: SharedDownload,
  work: () => Promise<ImageKey>,
): Promise<ImageKey> {
  let waitingSince = Infinity;
  return withLease(
    `${temporaryPath(store.data, url)}.lease`,
    () => {
      waitingSince = Date.now();
      logger.info('another rkt instance is downloading this file, waiting...');
    },
    async () => {
      const row = store.findRemote(address);
      if (row === undefined || row.downloadTime < waitingSince || !accepts(row)) return work();
      logger.debug(`using what another rkt instance downloaded from ${address}`);
      store.touch(row.key);
      return row.key;
    },
  );
}
