// Where the standard streams of an app lead, as its annotations say (contract stage1 8.1). Pure.

import type { Annotation } from '@rkt/spec/annotations';

import { STREAM_ANNOTATIONS } from './entrypoints.ts';

export type StreamName = 'stdin' | 'stdout' | 'stderr';
export const STREAM_NAMES: readonly StreamName[] = ['stdin', 'stdout', 'stderr'];

/** `interactive` is the terminal, or the streams, of whoever runs the pod; `stream` and `tty` are attached to. */
export type InputMode = 'null' | 'interactive' | 'stream' | 'tty';
/** `log` is the pod's journal and console. */
export type OutputMode = 'log' | InputMode;

export const INPUT_MODES: readonly InputMode[] = ['null', 'interactive', 'stream', 'tty'];
export const OUTPUT_MODES: readonly OutputMode[] = ['log', ...INPUT_MODES];

/** The modes of one app. */
export interface StreamModes {
  readonly stdin: InputMode;
  readonly stdout: OutputMode;
  readonly stderr: OutputMode;
}

/** What the annotations of an app choose, or undefined for a stream that they say nothing of that is known. */
export function chosenStreamModes(annotations: readonly Annotation[] | undefined): Partial<StreamModes> {
  const chosen = (stream: StreamName): string | undefined =>
    annotations?.findLast(({ name }) => name === STREAM_ANNOTATIONS[stream])?.value;
  const stdin = INPUT_MODES.find((mode) => mode === chosen('stdin'));
  const stdout = OUTPUT_MODES.find((mode) => mode === chosen('stdout'));
  const stderr = OUTPUT_MODES.find((mode) => mode === chosen('stderr'));
  return {
    ...(stdin === undefined ? {} : { stdin }),
    ...(stdout === undefined ? {} : { stdout }),
    ...(stderr === undefined ? {} : { stderr }),
  };
}

/** The modes of an app: unknown ones mean the default, which is to read nothing and to write to the log. */
export function streamModes(annotations: readonly Annotation[] | undefined): StreamModes {
  return { stdin: 'null', stdout: 'log', stderr: 'log', ...chosenStreamModes(annotations) };
}

/** The first stream that one can attach to, if there is one. */
export function attachableStream(
  modes: Partial<StreamModes>,
): { readonly stream: StreamName; readonly mode: OutputMode } | undefined {
  for (const stream of STREAM_NAMES) {
    const mode = modes[stream];
    if (mode === 'stream' || mode === 'tty') return { stream, mode };
  }
  return undefined;
}
