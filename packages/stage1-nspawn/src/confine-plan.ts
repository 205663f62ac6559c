// What `confine` (tools/build-stage1/confine.c) is told: struct plan and the filter behind it, in a memory file. Runs in
// the enter entry point, on the host.

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
  /** Filter of system calls, as the kernel takes it; absent: none. */
  readonly filter?: Buffer;
}

const HEADER_BYTES = 24;
/** sizeof(struct sock_filter). */
const INSTRUCTION_BYTES = 8;

/** The bytes of a plan. */
export function encodePlan({
  bounding,
  noNewPrivileges,
  userNamespace = -1,
  cgroup = -1,
  filter,
}: ConfinePlan): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeBigUInt64LE(BigInt.asUintN(64, bounding), 0);
  header.writeUInt32LE(noNewPrivileges ? 1 : 0, 8);
  header.writeInt32LE(userNamespace, 12);
  header.writeUInt32LE((filter?.length ?? 0) / INSTRUCTION_BYTES, 16);
  header.writeInt32LE(cgroup, 20);
  return filter === undefined ? header : Buffer.concat([header, filter]);
}

/** A memory file with these bytes that nobody can change any more. */
export function sealedFile(kernel: Kernel, name: string, bytes: Buffer): number {
  const fd = kernel.memfdCreate(name, MFD_ALLOW_SEALING);
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
  kernel.addSeals(fd, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  return fd;
}
