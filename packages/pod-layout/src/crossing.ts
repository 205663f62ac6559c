// The entry points that change a running pod or connect to it: what stage0 calls them with (contract stage1 1.6). Pure.
//
//   stage0                                  stage1
//   app add   --- child, waited for ---->   app/add    --debug=B --uuid=U --app=A
//   app rm    --- child, waited for ---->   app/rm     --debug=B --app=A
//   app start --- child, waited for ---->   app/start  --debug=B --app=A
//   app stop  --- child, waited for ---->   app/stop   --debug=B --app=A
//   attach    --- execve ---------------->   attach     --action=A ... --app=A --debug=B     becomes the connection
//
// Working directory: the pod directory. The environment is exactly crossingEnvironment().

import { quote } from '@rkt/diagnostics/quote';

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
  const app = appName(values.get('app'));
  const uuid = values.get('uuid');
  return { debug: values.get('debug') === 'true', app, ...(uuid === undefined ? {} : { uuid }) };
}

/** What attach is to do: `custom-attach` with the endpoints that are chosen. */
export type AttachAction = 'list' | 'auto-attach' | 'custom-attach';

/** Parts of endpoints that can be attached to; a terminal has two. */
export const ATTACH_PARTS = ['tty-in', 'tty-out', 'stdin', 'stdout', 'stderr'] as const;
export type AttachPart = (typeof ATTACH_PARTS)[number];

/** Arguments of the entry point `attach`. */
export interface AttachArguments {
  readonly action: AttachAction;
  /** Of `custom-attach` only. */
  readonly parts: readonly AttachPart[];
  readonly app: string;
  readonly debug: boolean;
}

export function printAttachArguments({ action, parts, app, debug }: AttachArguments): string[] {
  const chosen =
    action === 'custom-attach' ? ATTACH_PARTS.map((part) => `--${part}=${parts.includes(part)}`) : [];
  return [`--action=${action}`, ...chosen, `--app=${app}`, `--debug=${debug}`];
}

/** @throws PodLayoutError `bad-argument`. */
export function parseAttachArguments(argv: readonly string[]): AttachArguments {
  const booleans = new Set(['debug', ...ATTACH_PARTS]);
  const { values } = parseGoFlags(argv, ['action', 'app', ...booleans], booleans);
  const action = values.get('action');
  if (action !== 'list' && action !== 'auto-attach' && action !== 'custom-attach') {
    throw new PodLayoutError('bad-argument', `unknown action ${quote(action ?? '')}`);
  }
  const parts = ATTACH_PARTS.filter((part) => values.get(part) === 'true');
  return { action, parts, app: appName(values.get('app')), debug: values.get('debug') === 'true' };
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

function appName(app = ''): string {
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/.test(app)) throw new PodLayoutError('bad-argument', 'no name of an app');
  return app;
}
