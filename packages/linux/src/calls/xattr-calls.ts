// Extended attribute calls over libc. Runs wherever the kernel is opened.

import type { PathBytes } from '../errno.ts';
import { check, firstPath, lazySymbol, secondPath } from '../ffi.ts';
import type { XattrCalls } from '../kernel.ts';

const PATH_GET = { arguments: ['pointer', 'pointer', 'pointer', 'u64'], return: 'i64' } as const;
const PATH_LIST = { arguments: ['pointer', 'pointer', 'u64'], return: 'i64' } as const;
const PATH_SET = { arguments: ['pointer', 'pointer', 'pointer', 'u64', 'i32'], return: 'i32' } as const;

const getxattr = lazySymbol('getxattr', PATH_GET);
const lgetxattr = lazySymbol('lgetxattr', PATH_GET);
const fgetxattr = lazySymbol('fgetxattr', { arguments: ['i32', 'pointer', 'pointer', 'u64'], return: 'i64' });
const listxattr = lazySymbol('listxattr', PATH_LIST);
const llistxattr = lazySymbol('llistxattr', PATH_LIST);
const flistxattr = lazySymbol('flistxattr', { arguments: ['i32', 'pointer', 'u64'], return: 'i64' });
const setxattr = lazySymbol('setxattr', PATH_SET);
const lsetxattr = lazySymbol('lsetxattr', PATH_SET);
const fsetxattr = lazySymbol('fsetxattr', {
  arguments: ['i32', 'pointer', 'pointer', 'u64', 'i32'],
  return: 'i32',
});
const lremovexattr = lazySymbol('lremovexattr', { arguments: ['pointer', 'pointer'], return: 'i32' });

// XATTR_SIZE_MAX and XATTR_LIST_MAX are both this; larger ones cannot exist.
const MAX_BYTES = 65536;
const CAPACITY = BigInt(MAX_BYTES);
let scratch: Buffer | undefined;

function result(): Buffer {
  return (scratch ??= Buffer.allocUnsafeSlow(MAX_BYTES));
}

function value(length: bigint, syscall: string, path: PathBytes | undefined): Buffer {
  return Buffer.from(result().subarray(0, check(Number(length), syscall, path)));
}

function names(length: bigint, syscall: string, path: PathBytes | undefined): string[] {
  const bytes = check(Number(length), syscall, path);
  return bytes === 0
    ? []
    : result()
        .toString('utf8', 0, bytes - 1)
        .split('\0');
}

/** The extended attribute calls of the real kernel. */
export const xattrCalls: XattrCalls = {
  getXattr(path, name) {
    const key = secondPath(name, 'getxattr');
    return value(getxattr()(firstPath(path, 'getxattr'), key, result(), CAPACITY), 'getxattr', path);
  },
  lgetXattr(path, name) {
    const key = secondPath(name, 'getxattr');
    return value(lgetxattr()(firstPath(path, 'getxattr'), key, result(), CAPACITY), 'getxattr', path);
  },
  fgetXattr(fd, name) {
    return value(fgetxattr()(fd, secondPath(name, 'getxattr'), result(), CAPACITY), 'getxattr', name);
  },
  listXattr(path) {
    return names(listxattr()(firstPath(path, 'listxattr'), result(), CAPACITY), 'listxattr', path);
  },
  llistXattr(path) {
    return names(llistxattr()(firstPath(path, 'listxattr'), result(), CAPACITY), 'listxattr', path);
  },
  flistXattr(fd) {
    return names(flistxattr()(fd, result(), CAPACITY), 'listxattr', undefined);
  },
  llistXattrBytes(path) {
    const length = check(
      Number(llistxattr()(firstPath(path, 'listxattr'), result(), CAPACITY)),
      'listxattr',
      path,
    );
    const found: Buffer[] = [];
    for (let start = 0; start < length;) {
      const end = result().indexOf(0, start);
      found.push(Buffer.from(result().subarray(start, end)));
      start = end + 1;
    }
    return found;
  },
  setXattr(path, name, bytes, flags = 0) {
    const key = secondPath(name, 'setxattr');
    const size = BigInt(bytes.length);
    check(setxattr()(firstPath(path, 'setxattr'), key, bytes, size, flags), 'setxattr', path);
  },
  lsetXattr(path, name, bytes, flags = 0) {
    const key = secondPath(name, 'setxattr');
    const size = BigInt(bytes.length);
    check(lsetxattr()(firstPath(path, 'setxattr'), key, bytes, size, flags), 'setxattr', path);
  },
  fsetXattr(fd, name, bytes, flags = 0) {
    check(
      fsetxattr()(fd, secondPath(name, 'setxattr'), bytes, BigInt(bytes.length), flags),
      'setxattr',
      name,
    );
  },
  lremoveXattr(path, name) {
    check(
      lremovexattr()(firstPath(path, 'removexattr'), secondPath(name, 'removexattr')),
      'removexattr',
      path,
    );
  },
};
