// A foreign stage1: shell scripts that speak the stage0 interface and start nothing (contract stage1 14.5, stage0
// 11.18). The image is built in the test process; the scripts run on the host as the pod's process.

import type { AciDescription, AciFile } from './aci-builder.ts';
import { imageManifest } from './manifests.ts';

/** What the stub prints when it is started. */
export const STUB_MESSAGE = 'success, stub stage1 would at this point switch to stage2';

/** Name of the stub image. */
export const STUB_NAME = 'localhost/rkt-stub-stage1';

/** Entry points of a stub: bodies of shell scripts; absent ones are not offered by the image. */
export interface StubOptions {
  readonly name?: string;
  readonly version?: string;
  readonly run?: string;
  readonly enter?: string;
  readonly gc?: string;
  readonly stop?: string;
  /** Entry points the image does not offer although it could. */
  readonly without?: readonly string[];
  /** Annotations beside the entry points, e.g. the interface version. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly files?: readonly AciFile[];
}

/** Checks the lock descriptor, leaves its process id as `ppid`, says its line and ends. */
export const STUB_RUN: string = `
[ -n "$RKT_LOCK_FD" ] || { echo "stub: RKT_LOCK_FD is not set" >&2; exit 254; }
[ -e "/proc/$$/fd/$RKT_LOCK_FD" ] || { echo "stub: lock descriptor is closed" >&2; exit 254; }
echo $$ > ppid
echo "${STUB_MESSAGE}"
exit 0
`;

/** Stays as a running pod until somebody ends it: \`pid\` names it, the lock stays with it. */
export const STUB_RUN_FOREVER = `
echo $$ > pid
echo "stub: running"
exec sleep 1000000
`;

/** Writes everything stage0 hands over to the file \`stub-run\` of the pod directory, then goes on as {@link STUB_RUN}. */
export const STUB_RUN_RECORDING: string = `
{
  echo "cwd=$(pwd)"
  echo "pid=$$"
  echo "lock=$(readlink "/proc/$$/fd/$RKT_LOCK_FD")"
  echo "argv0=$0"
  for each in "$@"; do echo "arg=$each"; done
  env | sed 's/^/env=/'
} > stub-run
${STUB_RUN}`;

/** Ends the process that \`pid\` names, as fly's stop does. */
export const STUB_STOP = `
signal=TERM
[ "$1" = --force ] && signal=KILL
kill -$signal "$(cat pid)"
`;

/** The description of a stub image; the default is the one of the contract, with empty enter and gc. */
export function stubStage1({
  name = STUB_NAME,
  version = '0.0.1',
  run = STUB_RUN,
  enter = 'exit 0',
  gc = 'exit 0',
  stop,
  without = [],
  annotations = {},
  files = [],
}: StubOptions = {}): AciDescription {
  const scripts = Object.entries({ run, enter, gc, stop }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !without.includes(entry[0]),
  );
  const entryPoints = scripts.map(([entry]): [string, string] => [
    `coreos.com/rkt/stage1/${entry}`,
    `/${entry}`,
  ]);
  return {
    manifest: imageManifest({
      name,
      version,
      annotations: { ...Object.fromEntries(entryPoints), ...annotations },
    }),
    files: [
      ...scripts.map(([entry, body]): AciFile => ({
        path: entry,
        mode: 0o755,
        content: `#!/bin/sh\n${body}\n`,
      })),
      // stage0 touches this directory so that it exists in the upper layer of overlay pods.
      { path: 'rkt/status/' },
      { path: 'opt/stage2/' },
      { path: 'etc/' },
      ...files,
    ],
  };
}
