// Errors of keys and signatures. Runs in stage0.

import { RktError } from '@rkt/diagnostics/rkt-error';

export type TrustErrorCode =
  /** --insecure-options=image: no keystore is loaded. */
  | 'no-keystore'
  /** A file of the keystore that cannot be believed. */
  | 'unsafe-key-file'
  | 'bad-key'
  /** Nothing in the signature file is a detached signature. */
  | 'no-signature'
  /** Signed, but by nobody who is trusted for the image. */
  | 'unknown-signer'
  | 'bad-signature'
  | 'no-tty'
  | 'key-discovery'
  | 'bad-prefix';

/** A key or a signature that is not to be trusted. */
export class TrustError extends RktError<TrustErrorCode> {}
