// Bodies of requests, within limits, and the values of forms, byte for byte. Runs in the metadata service.

import type { IncomingMessage } from 'node:http';

import { Refusal } from './errors.ts';

/** The whole body. @throws Refusal 413 when it is longer than `limit` bytes. */
export async function readBody(message: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = (): Refusal => new Refusal(413, `body is larger than ${limit} bytes`);
  if (Number(message.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  // The connection is still needed for the answer.
  for await (const chunk of message.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;

/** The fields of a form, each by its first value; empty for any other body. @throws as {@link readBody} */
export async function readForm(
  message: IncomingMessage,
  limit: number,
): Promise<ReadonlyMap<string, Buffer>> {
  const body = await readBody(message, limit);
  return FORM_TYPE.test(message.headers['content-type'] ?? '') ? parseForm(body) : new Map();
}

/**
 * The fields of an urlencoded text. Values are bytes: texts that differ only in what is not UTF-8 are different texts,
 * and have different signatures.
 */
export function parseForm(body: Buffer): ReadonlyMap<string, Buffer> {
  const values = new Map<string, Buffer>();
  for (const pair of body.toString('latin1').split('&')) {
    const equals = pair.indexOf('=');
    const name = unescapeBytes(equals < 0 ? pair : pair.slice(0, equals)).toString('latin1');
    if (!values.has(name)) values.set(name, unescapeBytes(equals < 0 ? '' : pair.slice(equals + 1)));
  }
  return values;
}

function unescapeBytes(text: string): Buffer {
  const bytes = text
    .replaceAll('+', ' ')
    .replaceAll(/%([0-9a-f]{2})/gi, (_escape, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
  return Buffer.from(bytes, 'latin1');
}
