// Becomes a shell that prints what it was given, by execProgram. Runs as a process of exec.test.ts.

import { openSync } from 'node:fs';

import { execProgram } from '../exec.ts';

const [, , program = '/bin/sh'] = process.argv;
const kept = openSync('/dev/null', 'r');
openSync('/dev/null', 'r');
// No pipe: the shell would have its ends open for a moment.
const script = 'printf "%s|" "$0" "$@" "$NAME" "$EMPTY" "${NODE_CHANNEL_FD-unset}"; ls /proc/$$/fd';
execProgram(
  program,
  ['sh', '-c', script, `kept ${kept}`, '', 'two words', 'näme €'],
  { NAME: 'a=b\nc', EMPTY: '', PATH: '/usr/bin:/bin' },
  { keepOpen: [kept] },
);
