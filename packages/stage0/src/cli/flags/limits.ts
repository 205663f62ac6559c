// Flags that say how much an image may cost, for commands that fetch (design: hostile inputs 21, 22). Pure; runs in
// stage0.

import { quote } from '@rkt/diagnostics/quote';

import { DEFAULT_LIMITS, type LimitValues, type RaisableLimit } from '../../unpack/limits.ts';
import { parseByteCount } from '../../config/byte-count.ts';
import { badValue } from '../errors.ts';
import type { Flag, FlagValues } from '../flag.ts';
import { integerFlag } from '../flag-types.ts';
import { present } from './app.ts';

type LimitTable = { readonly [Name in RaisableLimit]: Flag<number | undefined> };

const MOST = 10 ** 15 - 1;
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

function byteFlag(describe: string, defaultDescription: string): Flag<number | undefined> {
  return {
    type: 'string',
    describe,
    placeholder: 'BYTES',
    initial: undefined,
    defaultDescription,
    set: (_previous, text) => {
      const bytes = parseByteCount(text);
      if (bytes === undefined || bytes === 0) {
        throw badValue(`${quote(text)} is not a number of bytes, such as 1000000 or 64Gi`);
      }
      return bytes;
    },
  };
}

/** Flags of run, prepare and fetch; what is not given is taken from the configuration, else from the defaults. */
export const LIMIT_FLAGS: LimitTable = {
  'max-image-size': byteFlag(
    'Refuse images that are larger uncompressed, or unpacked',
    `${DEFAULT_LIMITS.maxFileBytes / GIB}Gi`,
  ),
  'max-image-entries': {
    ...integerFlag('Refuse images of more files and directories', 1, MOST),
    defaultDescription: String(DEFAULT_LIMITS.maxEntries),
  },
  'max-image-ratio': {
    ...integerFlag('Refuse images that are compressed more than this', 1, MOST),
    defaultDescription: String(DEFAULT_LIMITS.maxRatio),
  },
  'max-image-memory': byteFlag(
    'Refuse images that need more memory to be decompressed',
    `${DEFAULT_LIMITS.maxMemoryBytes / MIB}Mi`,
  ),
};

/** The limits that were given. */
export function buildLimits(values: FlagValues<LimitTable>): LimitValues {
  return present({
    'max-image-size': values['max-image-size'],
    'max-image-entries': values['max-image-entries'],
    'max-image-ratio': values['max-image-ratio'],
    'max-image-memory': values['max-image-memory'],
  });
}
