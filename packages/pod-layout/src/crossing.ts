// The entry points that change a running pod: what stage0 calls them with (contract stage1 1.6). Pure.
//
//   stage0                                  stage1
//   app add   --- child, waited for ---->   app/add    --debug=B --uuid=U --app=A
//   app rm    --- child, waited for ---->   app/rm     --debug=B --app=A
//   app start --- child, waited for ---->   app/start  --debug=B --app=A
//   app stop  --- child, waited for ---->   app/stop   --debug=B --app=A
//
// Working directory: the pod directory. The environment is exactly crossingEnvironment().

import { onHost } from './stage1-paths.ts';
import type { Stage1Root } from './pod-paths.ts';
import { parseGoFlags } from './entrypoints.ts';
import { DEFAULT_PATH, RKT_STAGE1_ENTERCMD, RKT_STAGE1_ENTERPID } from './environment.ts';
import { PodLayoutError } from './errors.ts';

/** Exit status of `app/stop` when the app does not run (systemctl(1): no such unit). */
export const EXIT_NO_SUCH_UNIT = 5;

/** Arguments of the entry points `app/*`. */
export interface AppArguments {
  readonly debug: boolean;
  readonly app: string;
  /** `app/add` only. */
  readonly uuid?: string;
}

export function printAppArguments({ debug, app, uuid }: AppArguments): string[] {
  return [`--debug=${debug}`, ...(uuid === undefined ? [] : [`--uuid=${uuid}`]), `--app=${app}`];
}

/** @throws PodLayoutError `bad-argument`. */
export function parseAppArguments(argv: readonly string[]): AppArguments {
  const { values } = parseGoFlags(argv, ['debug', 'app', 'uuid'], new Set(['debug']));
  const app = values.get('app') ?? '';
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(app)) throw new PodLayoutError('bad-argument', 'no name of an app');
  const uuid = values.get('uuid');
  return { debug: values.get('debug') === 'true', app, ...(uuid === undefined ? {} : { uuid }) };
}

/** The whole environment of such an entry point: `enter` is its path in stage1, `init` the host's pid of the pod's PID 1. */
export function crossingEnvironment(
  root: Stage1Root,
  enter: string,
  init: number,
  path: string = DEFAULT_PATH,
): Record<string, string> {
  return { [RKT_STAGE1_ENTERCMD]: onHost(root, enter), [RKT_STAGE1_ENTERPID]: String(init), PATH: path };
}
