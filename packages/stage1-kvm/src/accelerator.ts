// Whether the processor's virtualization is used, or the guest is emulated. Runs in the run entry point.

import { accessSync, constants, existsSync, readFileSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';

import { KvmError } from './errors.ts';

/** `tcg` emulates: slower by far, but everywhere. */
export type Accelerator = 'kvm' | 'tcg';

/** What the choice depends on. */
export interface HostFacts {
  /** /dev/kvm can be opened. */
  readonly device: boolean;
  /** Flags of the processors, as /proc/cpuinfo has them. */
  readonly flags: readonly string[];
  /** kvm is the kernel's own virtualization for clouds (PVM), which runs no kernel but one made for it. */
  readonly paravirtual: boolean;
}

/** @throws KvmError `unsupported` for a wish that is neither `kvm` nor `tcg` */
export function chooseAccelerator(wish: string | undefined, facts: () => HostFacts): Accelerator {
  if (wish === 'kvm' || wish === 'tcg') return wish;
  if (wish !== undefined && wish !== '') {
    throw new KvmError('unsupported', `unknown accelerator ${quote(wish)}`, {
      hint: 'kvm and tcg are known',
    });
  }
  const { device, flags, paravirtual } = facts();
  const hardware = flags.includes('vmx') || flags.includes('svm');
  return device && hardware && !paravirtual ? 'kvm' : 'tcg';
}

/** The facts of this host. */
export function hostFacts(): HostFacts {
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1] ?? '';
  return {
    device: canOpen('/dev/kvm'),
    flags: flags.split(' '),
    paravirtual: existsSync('/sys/module/kvm_pvm'),
  };
}

function canOpen(file: string): boolean {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
