// Where trusted signing keys are kept below a configuration directory (contract stage0 6.1). Pure.

import path from 'node:path';

/** Modes of what `rkt trust` makes, whatever the umask. */
export const KEYSTORE_DIR_MODE = 0o755;
export const KEYSTORE_FILE_MODE = 0o644;

/** A file name of the keystore: the fingerprint of the primary key, 40 lower-case hex digits. */
export const FINGERPRINT_PATTERN: RegExp = /^[0-9a-f]{40}$/;

export const trustedKeysDir = (config: string): string => path.join(config, 'trustedkeys');
/** Keys trusted for every image. */
export const rootKeysDir = (config: string): string => path.join(trustedKeysDir(config), 'root.d');
/** Keys trusted for the images of one prefix are in directories below, one for each component of the prefix. */
export const prefixKeysDir = (config: string): string => path.join(trustedKeysDir(config), 'prefix.d');
