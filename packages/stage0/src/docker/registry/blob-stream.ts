// The bytes of one blob as a registry sends them: a broken or stalled connection is resumed where it broke. Runs in
// stage0.

import { hasCode } from '@rkt/diagnostics/rkt-error';

import { FetchError } from '../../fetch/errors.ts';
import { type HttpResponse, networkError } from '../../fetch/http.ts';

/** How patient {@link BlobStream} is. */
export interface Patience {
  /** Times that a connection may break without `progressBytes` since the last time. */
  readonly maxBreaks: number;
  readonly progressBytes: number;
}

export const DEFAULT_PATIENCE: Patience = {
  maxBreaks: 3,
  progressBytes: 1024 * 1024,
};

/** What {@link BlobStream} reads. */
export interface BlobSource {
  readonly url: URL;
  /** Requests the bytes from `offset` on; the answer is 200 or 206. */
  open(offset: number, signal: AbortSignal): Promise<HttpResponse>;
}

/** Iterated once. */
export class BlobStream {
  readonly #source: BlobSource;
  readonly #patience: Patience;
  #response: HttpResponse | undefined;
  readonly #abort = new AbortController();

  constructor(source: BlobSource, patience: Patience = DEFAULT_PATIENCE) {
    this.#source = source;
    this.#patience = patience;
  }

  /** Asks for the first byte now, so that errors show before anything is set up for the rest. */
  async start(): Promise<void> {
    this.#response = await this.#open(0);
  }

  /** Ends the transfer, also in the middle. */
  close(): void {
    this.#abort.abort();
  }

  #open(offset: number): Promise<HttpResponse> {
    return this.#source.open(offset, this.#abort.signal);
  }

  /** @throws FetchError */
  async *bytes(): AsyncGenerator<Buffer, void, undefined> {
    const { url } = this.#source;
    const { maxBreaks, progressBytes } = this.#patience;
    let offset = 0;
    let breaks = 0;
    let offsetAtBreak = 0;
    try {
      for (;;) {
        const response = (this.#response ??= await this.#open(offset));
        let skip = offset - startOf(response, offset, url);
        try {
          for await (const chunk of response.body as AsyncIterable<Buffer>) {
            const wanted = skip < chunk.length ? chunk.subarray(skip) : undefined;
            skip = Math.max(0, skip - chunk.length);
            if (wanted === undefined || wanted.length === 0) continue;
            offset += wanted.length;
            yield wanted;
          }
          return;
        } catch (error) {
          const failure = networkError(url, error);
          if (!hasCode(failure, 'network')) throw failure;
          breaks = offset - offsetAtBreak >= progressBytes ? 1 : breaks + 1;
          offsetAtBreak = offset;
          if (breaks > maxBreaks) throw failure;
          this.#response = undefined;
        }
      }
    } finally {
      this.close();
    }
  }
}

// Where the answer starts: servers without ranges start over.
function startOf(response: HttpResponse, offset: number, url: URL): number {
  if (offset === 0 || response.status === 200) return 0;
  const start = /^bytes ([0-9]+)-/.exec(response.header('content-range') ?? '')?.[1];
  if (start !== undefined && Number(start) <= offset) return Number(start);
  throw new FetchError('network', `${url.host} sent other bytes than those from ${offset} on`);
}
