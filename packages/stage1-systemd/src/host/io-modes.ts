// Where an app's standard streams lead (contract 8.1). Pure.

import { quote } from '@rkt/diagnostics/quote';
import { STREAM_ANNOTATIONS } from '@rkt/pod-layout/entrypoints';
import type { LoadedApp } from '@rkt/stage1-base/pod';

import { SystemdError } from '../errors.ts';

/** What systemd connects a stream to. */
export interface StandardStreams {
  readonly input: 'null' | 'tty';
  readonly output: 'null' | 'tty' | 'journal+console';
  readonly error: 'null' | 'tty' | 'journal+console';
}

/**
 * The streams of an app. A pod run with --interactive gives its one app the terminal for all three.
 * @throws SystemdError `unsupported` for streams to attach to
 */
export function standardStreams(loaded: LoadedApp, interactive: boolean): StandardStreams {
  if (interactive) return { input: 'tty', output: 'tty', error: 'tty' };
  return {
    input: mode(loaded, 'stdin') === 'interactive' ? 'tty' : 'null',
    output: outputOf(mode(loaded, 'stdout')),
    error: outputOf(mode(loaded, 'stderr')),
  };
}

function outputOf(value: string | undefined): StandardStreams['output'] {
  if (value === 'null') return 'null';
  return value === 'interactive' ? 'tty' : 'journal+console';
}

// Unknown values mean the default.
function mode({ name, runtimeApp }: LoadedApp, stream: keyof typeof STREAM_ANNOTATIONS): string | undefined {
  const value = runtimeApp.annotations?.findLast(
    (annotation) => annotation.name === STREAM_ANNOTATIONS[stream],
  )?.value;
  if (value === 'tty' || value === 'stream') {
    throw new SystemdError(
      'unsupported',
      `app ${quote(name)}: ${stream} mode ${quote(value)} is not supported yet`,
    );
  }
  return value;
}
