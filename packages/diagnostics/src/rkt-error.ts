// The one error type of the product. Pure; runs in every process.

/** Options of {@link RktError}. */
export interface RktErrorOptions {
  /** The error that led to this one; the innermost cause is what users see without --debug. */
  readonly cause?: unknown;
  /** What the user can do next, as a short clause without a full stop. */
  readonly hint?: string;
}

/**
 * An error with a code that callers may test, whatever bundle or process it was made in.
 * Messages are lower case, name the object, and have no full stop.
 */
export class RktError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly hint: string | undefined;

  constructor(code: Code, message: string, options: RktErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RktError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** One link of an error chain: context around a cause, without a code of its own. */
export function wrap(context: string, cause: unknown): RktError<'wrapped'> {
  return new RktError('wrapped', context, { cause });
}

/** Whether `error` (or any of its causes) carries `code`; compares text, as classes differ between bundles. */
export function hasCode(error: unknown, code: string): boolean {
  return errorChain(error).some((link) => (link as { code?: unknown }).code === code);
}

/** The error and its causes, outermost first. Anything that is not an Error ends the chain as its text. */
export function errorChain(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let link = error; link !== undefined && link !== null; link = (link as Error).cause) {
    if (!(link instanceof Error)) {
      chain.push(new Error(String(link)));
      break;
    }
    if (chain.includes(link)) break;
    chain.push(link);
  }
  return chain;
}
