// Becomes a program that prints the signals it ignores and blocks. Runs as a process of exec.test.ts.

import { execProgram } from '../exec.ts';

execProgram('/bin/grep', ['grep', '^Sig', '/proc/self/status'], {});
