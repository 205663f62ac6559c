// An HTTP server around one of the two APIs: limits for what clients may send and how long they may take, and a line
// per request on stderr (contract stage1 6.1). Runs in the metadata service.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import type { Logger } from '@rkt/diagnostics/logger';
import { printable } from '@rkt/diagnostics/quote';

import { Refusal } from './errors.ts';

/** What an API answers with. */
export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** A request, its target taken apart. */
export interface ApiRequest {
  readonly method: string;
  /** As sent: percent escapes are still there. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly message: IncomingMessage;
}

/** One of the two APIs. */
export interface Api {
  /** @throws Refusal */
  answer(request: ApiRequest): Promise<Reply>;
  /** The path as the log may show it: tokens are secrets. */
  shownPath(path: string): string;
}

/** How long clients may take, in milliseconds. */
export interface Patience {
  /** For the header of a request. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
  /** Without any traffic, while a client reads its answer. */
  readonly idleMs: number;
  /** Between two requests. */
  readonly keepAliveMs: number;
}

export const PATIENCE: Patience = { headersMs: 5000, requestMs: 10_000, idleMs: 15_000, keepAliveMs: 5000 };

const MAX_HEADER_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 1024;
const MAX_SHOWN_PATH = 256;
/** Of texts for people. */
const ERROR_TYPE = 'text/plain; charset=utf-8';

/** A server that is not listening yet. */
export function apiServer(api: Api, logger: Logger, patience: Patience = PATIENCE): Server {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: patience.headersMs,
      requestTimeout: patience.requestMs,
      keepAliveTimeout: patience.keepAliveMs,
      connectionsCheckingInterval: Math.min(1000, patience.headersMs),
    },
    (message, response) => {
      // A service that ends does not wait for the next request.
      const isLast = (): boolean => !server.listening;
      void serve(api, logger, message, response, isLast);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(patience.idleMs);
  return server;
}

async function serve(
  api: Api,
  logger: Logger,
  message: IncomingMessage,
  response: ServerResponse,
  isLast: () => boolean,
): Promise<void> {
  const { method = '', url = '' } = message;
  const [path = '', ...query] = url.split('?');
  const request: ApiRequest = { method, path, query: new URLSearchParams(query.join('?')), message };
  const answer = await answerOf(api, logger, request);
  send(response, answer, isLast());
  const shown = printable(api.shownPath(path).slice(0, MAX_SHOWN_PATH));
  logger.info(`${printable(method)} ${shown} - ${answer.status}`);
}

interface Answer extends Reply {
  readonly headers?: Readonly<Record<string, string>>;
}

async function answerOf(api: Api, logger: Logger, request: ApiRequest): Promise<Answer> {
  try {
    return await api.answer(request);
  } catch (error) {
    const { status, message, headers } = asRefusal(error, request, logger);
    return { status, type: ERROR_TYPE, body: `${message}\n`, headers };
  }
}

function asRefusal(error: unknown, { message }: ApiRequest, logger: Logger): Refusal {
  if (error instanceof Refusal) return error;
  // Who hangs up in the middle of a request is told nothing.
  if (message.destroyed && !message.complete) return new Refusal(400, 'incomplete request');
  logger.error('cannot answer', error);
  return new Refusal(500, 'internal error');
}

function send(response: ServerResponse, { status, type, body, headers }: Answer, isLast: boolean): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
    // What is left of a body that is too large is not worth reading.
    ...(isLast || status === 413 ? { Connection: 'close' } : {}),
    ...headers,
  });
  response.end(body);
}
