// Mount and namespace calls over libc. They change the calling process; runs wherever the kernel is opened.

import { KernelError } from '../errno.ts';
import {
  check,
  checkTwo,
  firstPath,
  int,
  lazySymbol,
  ownString,
  Scratch,
  secondPath,
  systemCall,
} from '../ffi.ts';
import type { MountCalls } from '../kernel.ts';

// These numbers are the same on every architecture (kernel 5.1 and later share one table).
const SYS_OPEN_TREE = 428n;
const SYS_MOVE_MOUNT = 429n;
const SYS_MOUNT_SETATTR = 442n;

const mount = lazySymbol('mount', 5);
const umount2 = lazySymbol('umount2', 2);
const unshare = lazySymbol('unshare', 1);
const setns = lazySymbol('setns', 2);
// Not in any header, but exported since glibc 2.2.5.
const pivotRoot = lazySymbol('pivot_root', 2);
const chroot = lazySymbol('chroot', 1);
const sethostname = lazySymbol('sethostname', 2);

const E2BIG = 7;
// The kernel copies one page of options and silently leaves out the rest (mount(2)).
const MOUNT_DATA_MAX = 4096;

// struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
const mountAttributes = new Scratch(new BigUint64Array(4));
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
      int(flags),
      options,
    );
    check(result, 'mount', target);
  },
  umount2(target, flags) {
    check(umount2()(firstPath(target, 'umount'), int(flags)), 'umount', target);
  },
  openTree(dirFd, path, flags) {
    const name = firstPath(path, 'open_tree');
    return check(systemCall(SYS_OPEN_TREE, int(dirFd), name, int(flags)), 'open_tree', path);
  },
  moveMount(fromFd, fromPath, toFd, toPath, flags) {
    const from = firstPath(fromPath, 'move_mount');
    const to = secondPath(toPath, 'move_mount');
    const result = systemCall(SYS_MOVE_MOUNT, int(fromFd), from, int(toFd), to, int(flags));
    checkTwo(result, 'move_mount', fromPath, toPath);
  },
  mountSetattr(dirFd, path, flags, { set = 0, clear = 0, propagation = 0, userNamespaceFd = 0 }) {
    mountAttributes.memory.set([set, clear, propagation, userNamespaceFd].map(BigInt));
    const name = firstPath(path, 'mount_setattr');
    const size = MOUNT_ATTR_SIZE_VER0;
    check(
      systemCall(SYS_MOUNT_SETATTR, int(dirFd), name, int(flags), mountAttributes.address, size),
      'mount_setattr',
      path,
    );
  },
  unshare(flags) {
    check(unshare()(int(flags)), 'unshare');
  },
  setns(fd, nstype) {
    check(setns()(int(fd), int(nstype)), 'setns');
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
    check(sethostname()(bytes, int(bytes.length - 1)), 'sethostname', name);
  },
};
