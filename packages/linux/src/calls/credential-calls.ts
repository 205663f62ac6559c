// Calls that change who the calling thread is and what it may do, over libc. libc carries uid and gid changes to
// all threads; capabilities and prctl belong to the calling thread only. Runs wherever the kernel is opened.

import { KernelError } from '../errno.ts';
import { addressOf, check, int, lastErrno, lazySymbol } from '../ffi.ts';
import type { CredentialCalls } from '../kernel.ts';

const EINVAL = 22;

// prctl(2)
const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_KEEPCAPS = 8;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_GET_NO_NEW_PRIVS = 39;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;

/** sizeof(struct sock_filter). */
const SOCK_FILTER_BYTES = 8;

const setgroups = lazySymbol('setgroups', 2);
const setresgid = lazySymbol('setresgid', 3);
const setresuid = lazySymbol('setresuid', 3);
const capget = lazySymbol('capget', 2);
const capset = lazySymbol('capset', 2);
const prctlSymbol = lazySymbol('prctl', 5);

function prctl(option: number, argument = 0, second = 0): number {
  return prctlSymbol()(int(option), int(argument), int(second), 0n, 0n);
}

// struct __user_cap_header_struct: _LINUX_CAPABILITY_VERSION_3, pid 0.
function capabilityHeader(): Uint32Array {
  return Uint32Array.of(0x2008_0522, 0);
}

// struct __user_cap_data_struct[2]: effective, permitted, inheritable, low words first.
const LOW_WORD = 0xffff_ffffn;

function words(effective: bigint, permitted: bigint, inheritable: bigint): Uint32Array {
  const sets = [effective, permitted, inheritable];
  return Uint32Array.from([...sets.map((set) => set & LOW_WORD), ...sets.map((set) => set >> 32n)], Number);
}

function wide(data: Uint32Array, index: number): bigint {
  return BigInt(data[index] ?? 0) | (BigInt(data[index + 3] ?? 0) << 32n);
}

/** The credential calls of the real kernel. */
export const credentialCalls: CredentialCalls = {
  setGroups(gids) {
    // A zero-length view has no address to speak of; libc does not look at it.
    const list = Uint32Array.from(gids.length === 0 ? [0] : gids);
    check(setgroups()(int(gids.length), list), 'setgroups');
  },
  setResGid(real, effective, saved) {
    check(setresgid()(int(real), int(effective), int(saved)), 'setresgid');
  },
  setResUid(real, effective, saved) {
    check(setresuid()(int(real), int(effective), int(saved)), 'setresuid');
  },
  capGet() {
    const data = new Uint32Array(6);
    check(capget()(capabilityHeader(), data), 'capget');
    return { effective: wide(data, 0), permitted: wide(data, 1), inheritable: wide(data, 2) };
  },
  capSet({ effective, permitted, inheritable }) {
    check(capset()(capabilityHeader(), words(effective, permitted, inheritable)), 'capset');
  },
  dropBoundingCapability(capability) {
    check(prctl(PR_CAPBSET_DROP, capability), 'prctl PR_CAPBSET_DROP');
  },
  boundingCapabilities() {
    let set = 0n;
    for (let capability = 0; capability < 64; capability += 1) {
      const present = prctl(PR_CAPBSET_READ, capability);
      if (present === -1) break;
      if (present === 1) set |= 1n << BigInt(capability);
    }
    return set;
  },
  lastCapability() {
    let capability = 0;
    while (capability < 64 && prctl(PR_CAPBSET_READ, capability) !== -1) capability += 1;
    if (capability === 0) throw new KernelError('prctl PR_CAPBSET_READ', lastErrno() || EINVAL);
    return capability - 1;
  },
  raiseAmbient(capability) {
    check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability), 'prctl PR_CAP_AMBIENT_RAISE');
  },
  clearAmbient() {
    check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL), 'prctl PR_CAP_AMBIENT_CLEAR_ALL');
  },
  setNoNewPrivileges() {
    check(prctl(PR_SET_NO_NEW_PRIVS, 1), 'prctl PR_SET_NO_NEW_PRIVS');
  },
  getNoNewPrivileges() {
    return check(prctl(PR_GET_NO_NEW_PRIVS), 'prctl PR_GET_NO_NEW_PRIVS') === 1;
  },
  setSeccompFilter(program) {
    // struct sock_fprog: a count of instructions, padding, their address.
    const header = Buffer.alloc(16);
    header.writeUInt16LE(program.length / SOCK_FILTER_BYTES, 0);
    header.writeBigUInt64LE(addressOf(program), 8);
    check(
      prctlSymbol()(int(PR_SET_SECCOMP), int(SECCOMP_MODE_FILTER), header, 0n, 0n),
      'prctl PR_SET_SECCOMP',
    );
  },
  setKeepCaps(on) {
    check(prctl(PR_SET_KEEPCAPS, on ? 1 : 0), 'prctl PR_SET_KEEPCAPS');
  },
  setParentDeathSignal(signal) {
    check(prctl(PR_SET_PDEATHSIG, signal), 'prctl PR_SET_PDEATHSIG');
  },
  setDumpable(on) {
    check(prctl(PR_SET_DUMPABLE, on ? 1 : 0), 'prctl PR_SET_DUMPABLE');
  },
};
