// Sockets that a service manager gave to rkt for the pod (sd_listen_fds(3); contract 2.8). Pure; runs in the run entry
// point, which has the pid that the service manager started.

/** What was handed down. */
export interface ActivationSockets {
  /** Descriptors, from 3 up. */
  readonly descriptors: readonly number[];
  /** Variables that tell of them. */
  readonly variables: readonly { readonly name: string; readonly value: string }[];
}

const FIRST_SOCKET = 3;
const MOST_SOCKETS = 1024;
const VARIABLES = ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'];

/** The sockets meant for process `pid`. */
export function activationSockets(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): ActivationSockets {
  const count = Number(env['LISTEN_FDS'] ?? 0);
  const meant = env['LISTEN_PID'] === String(pid) && Number.isInteger(count);
  if (!meant || count < 1 || count > MOST_SOCKETS) return { descriptors: [], variables: [] };
  return {
    descriptors: Array.from({ length: count }, (_, index) => FIRST_SOCKET + index),
    variables: VARIABLES.flatMap((name) => (env[name] === undefined ? [] : [{ name, value: env[name] }])),
  };
}
