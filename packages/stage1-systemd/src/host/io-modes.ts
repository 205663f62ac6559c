// What systemd connects the standard streams of an app to (contract 8.1; what differs is in docs/decisions/0045). Pure.

import { quote } from '@rkt/diagnostics/quote';
import { muxStreamIn } from '@rkt/pod-layout/stage1-paths';
import {
  attachableStream,
  type OutputMode,
  STREAM_NAMES,
  type StreamModes,
  type StreamName,
  streamModes,
} from '@rkt/pod-layout/streams';
import type { LoadedApp } from '@rkt/stage1-base/pod';
import type { Credentials } from '@rkt/stage1-base/user';
import { option, type UnitOption } from 'systemd-unit-parser/unit';

import { SystemdError } from '../errors.ts';

/** The unit that stands between an app and those attached to it; of the stage1 image. */
export const muxUnitName = (app: string): string => `iottymux@${app}.service`;

type App = Pick<LoadedApp, 'name' | 'runtimeApp'>;

const modesOf = ({ runtimeApp }: App): StreamModes => streamModes(runtimeApp.annotations);

/** Whether somebody can attach to the app. */
export function isAttachable(app: App, interactive: boolean): boolean {
  return !interactive && attachableStream(modesOf(app)) !== undefined;
}

/** Whether the app reads the terminal of whoever runs the pod. */
export const readsConsole = (app: App): boolean => modesOf(app).stdin === 'interactive';

/** Whether a stream of the app is the terminal of whoever runs the pod. */
export function readsPodTerminal(app: App, interactive: boolean): boolean {
  const modes = modesOf(app);
  return interactive || STREAM_NAMES.some((stream) => modes[stream] === 'interactive');
}

/** Whether the app reads a terminal, that of the pod or one of its own. */
export const readsTerminal = (app: App): boolean => ['tty', 'interactive'].includes(modesOf(app).stdin);

/**
 * The directives. A pod run with --interactive gives its one app the terminal for all three streams. `terminal` is the
 * device of the pod's own terminal where that is not its console.
 * @throws SystemdError `unsupported` for an app on two terminals
 */
export function streamDirectives(app: App, interactive: boolean, terminal?: string): UnitOption[] {
  const modes = modesOf(app);
  const onTerminal = terminal === undefined ? [] : [option('Service', 'TTYPath', terminal)];
  if (interactive) return [...connect('tty', 'tty', 'tty'), ...onTerminal];
  const used = new Set(STREAM_NAMES.map((stream) => modes[stream]));
  if (used.has('tty') && used.has('interactive')) {
    throw new SystemdError(
      'unsupported',
      `app ${quote(app.name)} cannot have streams of mode "tty" and of mode "interactive": it has one terminal`,
    );
  }
  const attachable = isAttachable(app, false);
  return [
    ...(attachable ? ['Requires', 'After'].map((name) => option('Unit', name, muxUnitName(app.name))) : []),
    ...connect(
      target(app, 'stdin', modes.stdin),
      target(app, 'stdout', modes.stdout),
      target(app, 'stderr', modes.stderr),
    ),
    ...(used.has('tty') ? [option('Service', 'TTYPath', muxStreamIn(app.name, 'pts'))] : []),
    ...(used.has('interactive') ? onTerminal : []),
  ];
}

// The fifo is opened by the process that becomes the app, before its root is the app's.
function target({ name }: App, stream: StreamName, mode: OutputMode): string {
  if (mode === 'log') return 'journal+console';
  if (mode === 'interactive') return 'tty';
  if (mode === 'tty') return stream === 'stdin' ? 'tty-force' : 'tty';
  return mode === 'stream' ? `file:${muxStreamIn(name, stream)}` : 'null';
}

function connect(input: string, output: string, error: string): UnitOption[] {
  return [
    option('Service', 'StandardInput', input),
    option('Service', 'StandardOutput', output),
    option('Service', 'StandardError', error),
  ];
}

/** What the multiplexer of an app is started with. */
export function muxEnvironment(app: App, { uid, gid }: Pick<Credentials, 'uid' | 'gid'>): string {
  const modes = modesOf(app);
  const streams = STREAM_NAMES.filter((stream) => modes[stream] === 'stream');
  const lines = [
    `STAGE2_TTY=${STREAM_NAMES.some((stream) => modes[stream] === 'tty')}`,
    ...streams.map((stream) => `STAGE2_${stream.toUpperCase()}=true`),
    `STAGE2_UID=${uid}`,
    `STAGE2_GID=${gid}`,
  ];
  return `${lines.join('\n')}\n`;
}
