// What `confine` (tools/build-stage1/confine.c) is told: struct plan, and behind it the filter and the label, in a memory
// file. Runs in the enter entry point, on the host.

import { writeSync } from 'node:fs';

import {
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  MFD_ALLOW_SEALING,
} from '@rkt/linux/constants';
import type { Kernel } from '@rkt/linux/kernel';

/** How the command is confined, beyond its namespaces and cgroups. */
export interface ConfinePlan {
  /** Capabilities it may ever hold, bit n is capability n. */
  readonly bounding: bigint;
  readonly noNewPrivileges: boolean;
  /** Descriptor of a user namespace to enter. */
  readonly userNamespace?: number;
  /** Descriptor of the version 2 cgroup in which the command is to be born. */
  readonly cgroup?: number;
  /** Descriptor of a cgroup namespace that the command enters when it has been born: from inside nobody is born outside. */
  readonly cgroupNamespace?: number;
  /** SELinux label of the command; absent: the caller's. */
  readonly label?: string;
  /** Filter of system calls, as the kernel takes it; absent: none. */
  readonly filter?: Buffer;
}

const HEADER_BYTES = 32;
/** sizeof(struct sock_filter). */
const INSTRUCTION_BYTES = 8;

/** The bytes of a plan. */
export function encodePlan({
  bounding,
  noNewPrivileges,
  userNamespace = -1,
  cgroup = -1,
  cgroupNamespace = -1,
  label = '',
  filter = Buffer.alloc(0),
}: ConfinePlan): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeBigUInt64LE(BigInt.asUintN(64, bounding), 0);
  header.writeUInt32LE(noNewPrivileges ? 1 : 0, 8);
  header.writeInt32LE(userNamespace, 12);
  header.writeUInt32LE(filter.length / INSTRUCTION_BYTES, 16);
  header.writeInt32LE(cgroup, 20);
  header.writeInt32LE(cgroupNamespace, 24);
  header.writeUInt32LE(Buffer.byteLength(label), 28);
  return Buffer.concat([header, filter, Buffer.from(label)]);
}

/** A memory file with these bytes that nobody can change any more. */
export function sealedFile(kernel: Kernel, name: string, bytes: Buffer): number {
  const fd = kernel.memfdCreate(name, MFD_ALLOW_SEALING);
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
  kernel.addSeals(fd, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  return fd;
}
