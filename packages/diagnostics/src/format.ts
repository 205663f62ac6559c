// How an error becomes text: `prefix: context: innermost cause`, or the whole tree with --debug
// (contract stage0 1.5). Pure; runs in every process.

import { errorChain, type RktError } from './rkt-error.ts';

/** Where and how an error is shown. */
export interface ErrorFormat {
  /** Name of the command or stage that speaks, e.g. `run` or `stage1`. */
  readonly prefix: string;
  /** What was being done; may be empty. */
  readonly context?: string;
  /** Show the whole chain instead of the innermost cause. */
  readonly debug?: boolean;
}

/** The text of `error` without a final newline. */
export function formatError(error: unknown, { prefix, context = '', debug = false }: ErrorFormat): string {
  const chain = errorChain(error);
  const head = context === '' ? `${prefix}: ` : `${prefix}: ${context}`;
  if (debug) {
    const tree = chain.map((link, index) => `${'  '.repeat(index + 1)}└─${oneLine(link)}`);
    return [head, ...tree].join('\n');
  }
  const innermost = chain.at(-1);
  if (innermost === undefined) return head;
  return `${head}${context === '' ? '' : ': '}${oneLine(innermost)}${hintOf(chain)}`;
}

function oneLine(error: Error): string {
  return error.message === '' ? error.name : error.message;
}

// The innermost hint is the one nearest to what went wrong.
function hintOf(chain: readonly Error[]): string {
  const hinted = chain.findLast((link): link is RktError => typeof (link as RktError).hint === 'string');
  return hinted?.hint === undefined ? '' : ` (${hinted.hint})`;
}
