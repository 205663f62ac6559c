// Mount and namespace calls over libc. They change the calling process; runs wherever the kernel is opened.

import { KernelError } from '../errno.ts';
import { check, checkTwo, firstPath, lazySymbol, lazySyscall, ownString, secondPath } from '../ffi.ts';
import type { MountCalls } from '../kernel.ts';

// These numbers are the same on every architecture (kernel 5.1 and later share one table).
const SYS_OPEN_TREE = 428n;
const SYS_MOVE_MOUNT = 429n;
const SYS_MOUNT_SETATTR = 442n;

const mount = lazySymbol('mount', {
  arguments: ['pointer', 'pointer', 'pointer', 'u64', 'pointer'],
  return: 'i32',
});
const umount2 = lazySymbol('umount2', { arguments: ['pointer', 'i32'], return: 'i32' });
const unshare = lazySymbol('unshare', { arguments: ['i32'], return: 'i32' });
const setns = lazySymbol('setns', { arguments: ['i32', 'i32'], return: 'i32' });
// Not in any header, but exported since glibc 2.2.5.
const pivotRoot = lazySymbol('pivot_root', { arguments: ['pointer', 'pointer'], return: 'i32' });
const chroot = lazySymbol('chroot', { arguments: ['pointer'], return: 'i32' });
const sethostname = lazySymbol('sethostname', { arguments: ['pointer', 'u64'], return: 'i32' });
const openTree = lazySyscall({ arguments: ['i64', 'i32', 'pointer', 'u32'], return: 'i32' });
const moveMount = lazySyscall({
  arguments: ['i64', 'i32', 'pointer', 'i32', 'pointer', 'u32'],
  return: 'i32',
});
const mountSetattr = lazySyscall({
  arguments: ['i64', 'i32', 'pointer', 'u32', 'pointer', 'u64'],
  return: 'i32',
});

const E2BIG = 7;
// The kernel copies one page of options and silently leaves out the rest (mount(2)).
const MOUNT_DATA_MAX = 4096;

// struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
const mountAttributes = new BigUint64Array(4);
const MOUNT_ATTR_SIZE_VER0 = 32n;

/** The mount calls of the real kernel. */
export const mountCalls: MountCalls = {
  mount(source, target, fstype, flags, data) {
    const options = data === null ? null : ownString(data, 'mount');
    if (options !== null && options.length > MOUNT_DATA_MAX) {
      throw new KernelError('mount', E2BIG, {
        path: target,
        text: 'mount options are longer than 4095 bytes',
      });
    }
    const result = mount()(
      source === null ? null : firstPath(source, 'mount'),
      secondPath(target, 'mount'),
      fstype === null ? null : ownString(fstype, 'mount'),
      BigInt(flags >>> 0),
      options,
    );
    check(result, 'mount', target);
  },
  umount2(target, flags) {
    check(umount2()(firstPath(target, 'umount'), flags), 'umount', target);
  },
  openTree(dirFd, path, flags) {
    return check(openTree()(SYS_OPEN_TREE, dirFd, firstPath(path, 'open_tree'), flags), 'open_tree', path);
  },
  moveMount(fromFd, fromPath, toFd, toPath, flags) {
    const from = firstPath(fromPath, 'move_mount');
    const to = secondPath(toPath, 'move_mount');
    checkTwo(moveMount()(SYS_MOVE_MOUNT, fromFd, from, toFd, to, flags), 'move_mount', fromPath, toPath);
  },
  mountSetattr(dirFd, path, flags, { set = 0, clear = 0, propagation = 0, userNamespaceFd = 0 }) {
    mountAttributes[0] = BigInt(set);
    mountAttributes[1] = BigInt(clear);
    mountAttributes[2] = BigInt(propagation);
    mountAttributes[3] = BigInt(userNamespaceFd);
    const name = firstPath(path, 'mount_setattr');
    const size = MOUNT_ATTR_SIZE_VER0;
    check(
      mountSetattr()(SYS_MOUNT_SETATTR, dirFd, name, flags, mountAttributes, size),
      'mount_setattr',
      path,
    );
  },
  unshare(flags) {
    check(unshare()(flags), 'unshare');
  },
  setns(fd, nstype) {
    check(setns()(fd, nstype), 'setns');
  },
  pivotRoot(newRoot, putOld) {
    const result = pivotRoot()(firstPath(newRoot, 'pivot_root'), secondPath(putOld, 'pivot_root'));
    checkTwo(result, 'pivot_root', newRoot, putOld);
  },
  chroot(path) {
    check(chroot()(firstPath(path, 'chroot')), 'chroot', path);
  },
  setHostname(name) {
    const bytes = ownString(name, 'sethostname');
    check(sethostname()(bytes, BigInt(bytes.length - 1)), 'sethostname', name);
  },
};
