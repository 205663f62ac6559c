// Life of a pod: a directory and a lock are the whole state (contract stage0 8.1). Pure.

/** Directories below pods/, in the order in which a pod is looked for. */
export const POD_DIRECTORIES = ['embryo', 'prepare', 'prepared', 'run', 'exited-garbage', 'garbage'] as const;
export type PodDirectoryName = (typeof POD_DIRECTORIES)[number];

/** Directories that commands list and search for UUID prefixes. */
export const LISTED_DIRECTORIES: readonly PodDirectoryName[] = [
  'prepare',
  'prepared',
  'run',
  'exited-garbage',
];

/** State names as users see them. */
export type PodPhase =
  | 'embryo'
  | 'preparing'
  | 'aborted prepare'
  | 'prepared'
  | 'running'
  | 'exited'
  | 'exited deleting'
  | 'exited garbage'
  | 'deleting'
  | 'garbage';

// directory -> [not locked, locked exclusively by somebody]
const PHASES: Record<PodDirectoryName, readonly [PodPhase, PodPhase]> = {
  embryo: ['embryo', 'embryo'],
  prepare: ['aborted prepare', 'preparing'],
  prepared: ['prepared', 'prepared'],
  run: ['exited', 'running'],
  'exited-garbage': ['exited garbage', 'exited deleting'],
  garbage: ['garbage', 'deleting'],
};

/** The phase of a pod in `directory`, given whether another process holds its exclusive lock. */
export function podPhase(directory: PodDirectoryName, locked: boolean): PodPhase {
  return PHASES[directory][locked ? 1 : 0];
}

/** Moves that exist, each one rename(2) followed by an fsync of the directory moved into. */
export const LEGAL_MOVES: Record<PodDirectoryName, readonly PodDirectoryName[]> = {
  embryo: ['prepare', 'garbage'],
  prepare: ['prepared', 'run', 'garbage'],
  prepared: ['run', 'garbage'],
  run: ['exited-garbage'],
  'exited-garbage': [],
  garbage: [],
};

/** Whether the pod ran and ended (contract stage0 8.1 "after run"). */
export function isAfterRun(phase: PodPhase): boolean {
  return phase === 'exited' || phase === 'exited deleting' || phase === 'exited garbage' || isDeleted(phase);
}

/** Whether there is nothing left to wait for (`status --wait`). */
export function isFinished(phase: PodPhase): boolean {
  return isAfterRun(phase) || phase === 'aborted prepare';
}

/** Whether an exit record may exist: pid, exited and app lines of `status` (contract stage0 8.16). */
export function hasRun(phase: PodPhase): boolean {
  return phase === 'running' || isAfterRun(phase);
}

function isDeleted(phase: PodPhase): boolean {
  return phase === 'deleting' || phase === 'garbage';
}
