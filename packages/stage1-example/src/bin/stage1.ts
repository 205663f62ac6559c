// The one program of the image. Runs on the host.

import { runProgram } from '@rkt/stage1-base/program';

import { enter, gc, run, stop } from '../entry-points.ts';

void runProgram(process, { run, enter, gc, stop });
