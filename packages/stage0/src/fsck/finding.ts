// What a check of the stores finds. Runs in stage0.

import { printable } from '@rkt/diagnostics/quote';
import { errorChain } from '@rkt/diagnostics/rkt-error';

/** One object of the stores that is not as it should be. */
export interface Finding {
  /** E.g. `blob sha512-...`, `tree deps-sha512-...`, `remote https://...`. */
  readonly object: string;
  readonly problem: string;
  /** What became of it, when repair was asked for and worked: `dropped`, `restored`. */
  readonly repaired?: 'dropped' | 'restored';
  /** Why it was not repaired although that was asked for. */
  readonly obstacle?: string;
}

/** How much is checked and what is done about it. */
export interface CheckOptions {
  readonly repair: boolean;
}

/** A finding with what became of it: `mend` runs only when repair was asked for, and may fail. */
export function finding(
  object: string,
  problem: string,
  { repair }: CheckOptions,
  outcome: 'dropped' | 'restored',
  mend: () => void,
): Finding {
  if (!repair) return { object, problem };
  try {
    mend();
    return { object, problem, repaired: outcome };
  } catch (error) {
    return { object, problem, obstacle: `cannot be repaired: ${reasonOf(error)}` };
  }
}

/** Why something could not be read, as messages show it: the innermost cause, safe for a terminal. */
export function reasonOf(error: unknown): string {
  return printable(errorChain(error).at(-1)?.message ?? String(error));
}
