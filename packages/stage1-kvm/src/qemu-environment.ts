// The environment of qemu: what tools/build-stage1/vm-exit.c is told, and nothing of the caller's but PATH. Pure.

import { quote } from '@rkt/diagnostics/quote';
import { RKT_KVM_BOOT_SECONDS } from '@rkt/pod-layout/environment';
import { STAGE1_ROOTFS_HERE, virtualMachineFile } from '@rkt/pod-layout/pod-paths';
import { POD_EXIT } from '@rkt/pod-layout/stage1-paths';

import { KvmError } from './errors.ts';
import { hostLibrary } from './host-library.ts';

/** How long a machine may take to get at its files, in seconds: here an emulated one takes two. */
const BOOT_SECONDS = 180;

/** What the variables of qemu depend on. */
export interface QemuSurroundings {
  readonly path: string;
  /** Descriptor of our end of the monitor's stream. */
  readonly monitor: number;
  /** Descriptor of the pipe to virtiofsd that says how qemu exits. */
  readonly letters: number;
  /** Seconds in place of {@link BOOT_SECONDS}, 0: no limit; what the user has set. */
  readonly bootSeconds: string | undefined;
}

/** The variables of qemu. @throws KvmError `unsupported` for seconds that are no number */
export function qemuEnvironment({
  path,
  monitor,
  letters,
  bootSeconds,
}: QemuSurroundings): Record<string, string> {
  const seconds = bootSeconds === undefined || bootSeconds === '' ? String(BOOT_SECONDS) : bootSeconds;
  if (!/^\d{1,6}$/.test(seconds)) {
    throw new KvmError('unsupported', `${RKT_KVM_BOOT_SECONDS} must be seconds, not ${quote(seconds)}`);
  }
  return {
    PATH: path,
    LD_PRELOAD: hostLibrary('vm-exit'),
    RKT_VM_EXIT: `${STAGE1_ROOTFS_HERE}${POD_EXIT}`,
    RKT_VM_CONSOLE: virtualMachineFile('console'),
    RKT_VM_MONITOR: String(monitor),
    RKT_VM_LETTERS: String(letters),
    RKT_VM_BOOT_SECONDS: seconds,
  };
}
