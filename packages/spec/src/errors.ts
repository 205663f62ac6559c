// What this package throws. Pure; runs in every process.

import { RktError } from '@rkt/diagnostics/rkt-error';

/** Why a text or value was refused. */
export type SpecErrorCode =
  /** Not JSON at all. */
  | 'bad-json'
  /** JSON that is not the manifest (or part of one) it should be. */
  | 'bad-manifest'
  /** A single name, number, hash, date ... that breaks its grammar. */
  | 'bad-value'
  /** The value of a command line flag. */
  | 'bad-flag'
  /** An image name string such as `example.com/app:1.0`. */
  | 'bad-image-name'
  /** An os/arch pair outside the table in force. */
  | 'bad-platform'
  /** Bytes or entries that are no ACI. */
  | 'bad-aci';

/** The only error that leaves this package. */
export class SpecError extends RktError<SpecErrorCode> {}

/** Refuses one value; the message is one of the contract's texts or names the value. */
export function refuse(message: string): never {
  throw new SpecError('bad-value', message);
}
