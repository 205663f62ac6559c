// --cpuprofile and --memprofile: files for the profilers of Chrome's developer tools (contract stage0 1.7).
// Loaded only when one of them is given. Runs in stage0.

import { openSync, writeSync, closeSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

/** Files to write; empty means no such profile. */
export interface ProfileFiles {
  readonly cpu: string;
  readonly memory: string;
}

/**
 * Starts profiling; the function returned writes the files. Files are opened at once, so that a bad name fails first.
 * What becomes a stage1 by execve leaves them empty.
 * @throws the error of opening a file.
 */
export async function startProfile({ cpu, memory }: ProfileFiles): Promise<() => Promise<void>> {
  const cpuFile = cpu === '' ? undefined : openSync(cpu, 'w', 0o644);
  const memoryFile = memory === '' ? undefined : openSync(memory, 'w', 0o644);
  const session = new Session();
  session.connect();
  if (cpuFile !== undefined) {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
  }
  return async () => {
    if (cpuFile !== undefined) {
      const { profile } = await session.post('Profiler.stop');
      writeSync(cpuFile, JSON.stringify(profile));
      closeSync(cpuFile);
    }
    if (memoryFile !== undefined) {
      session.on(
        'HeapProfiler.addHeapSnapshotChunk',
        ({ params }) => void writeSync(memoryFile, params.chunk),
      );
      await session.post('HeapProfiler.takeHeapSnapshot');
      closeSync(memoryFile);
    }
    session.disconnect();
  };
}
