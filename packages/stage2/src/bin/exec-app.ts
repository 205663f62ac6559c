// The shim as a program of its own, for tests and for flavours that install it apart from their entry points.

import { main } from '@rkt/diagnostics/exit';

import { execApp } from '../exec-app.ts';

void main('stage2', false, () => execApp(process.argv.slice(2)));
