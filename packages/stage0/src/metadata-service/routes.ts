// Finds what a request asks for in a table of paths. Pure; runs in the metadata service.

import { quote } from '@rkt/diagnostics/quote';

import type { ApiRequest, Reply } from './api-server.ts';
import { Refusal } from './errors.ts';

/** What is served at a path: `Context` is what all routes of an API share. */
export interface Route<Context> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Its groups become `words`. */
  readonly path: RegExp;
  readonly answer: (
    context: Context,
    words: readonly string[],
    request: ApiRequest,
  ) => Reply | Promise<Reply>;
}

/**
 * The route of a request with the words in its path, unescaped.
 * @throws Refusal 400 for bad escapes, 404 for a path that is not in the table, 405 for a method that is not.
 */
export function findRoute<Context>(
  routes: readonly Route<Context>[],
  method: string,
  escapedPath: string,
): { readonly answer: Route<Context>['answer']; readonly words: readonly string[] } {
  const path = unescapePath(escapedPath);
  const found = routes.flatMap((route) => {
    const match = route.path.exec(path);
    return match === null ? [] : [{ route, words: match.slice(1) }];
  });
  if (found.length === 0) throw new Refusal(404, `nothing is at ${quote(path)}`);
  const right = found.find(({ route }) => route.method === method);
  if (right === undefined) {
    const allowed = [...new Set(found.map(({ route }) => route.method))].join(', ');
    throw new Refusal(405, `use ${allowed} for ${quote(path)}`, { Allow: allowed });
  }
  return { answer: right.route.answer, words: right.words };
}

/** `text` without percent escapes. @throws Refusal 400 when they are not UTF-8. */
export function unescapePath(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Refusal(400, `bad escapes in ${quote(text)}`);
  }
}
