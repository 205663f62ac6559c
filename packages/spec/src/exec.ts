// The command line of an app or event handler (contract stage0 3.3). Pure; runs in every process.

import { list, systemText } from './codec.ts';
import type { Codec } from './codec.ts';

/** Program and arguments; may be empty, and the program may be a relative name. */
export type Exec = readonly string[];

export const Exec: Codec<Exec> = list(systemText);
