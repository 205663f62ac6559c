// A mount namespace for a tool that makes pods: what it leaves mounted is gone with it. Runs on the developer's machine,
// as root.
import { spawnSync } from 'node:child_process';

/** Set in the copy of this process that has a mount namespace of its own. */
const INSIDE = 'RKT_TOOL_INSIDE';

/**
 * Whether this process has a mount namespace of its own. One that has not runs itself again in one, to its end, and
 * takes over the exit status; its caller has nothing left to do.
 *
 * @param prepare What is to happen once, before.
 * @throws Error when this process is not root's
 */
export function inMountNamespace(prepare: () => void): boolean {
  if (process.getuid?.() !== 0) throw new Error('pods run as root: run this as root');
  if (process.env[INSIDE] !== undefined) return true;
  prepare();
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const { status } = spawnSync('unshare', ['--mount', '--propagation', 'private', ...again], {
    stdio: 'inherit',
    env: { ...process.env, [INSIDE]: '1' },
  });
  process.exitCode = status ?? 1;
  return false;
}
