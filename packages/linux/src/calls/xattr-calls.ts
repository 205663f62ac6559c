// Extended attribute calls over libc. Runs wherever the kernel is opened.

import type { PathBytes } from '../errno.ts';
import { check, firstPath, int, lazySymbol, Scratch, secondPath } from '../ffi.ts';
import type { XattrCalls } from '../kernel.ts';

const getxattr = lazySymbol('getxattr', 4);
const lgetxattr = lazySymbol('lgetxattr', 4);
const fgetxattr = lazySymbol('fgetxattr', 4);
const listxattr = lazySymbol('listxattr', 3);
const llistxattr = lazySymbol('llistxattr', 3);
const flistxattr = lazySymbol('flistxattr', 3);
const setxattr = lazySymbol('setxattr', 5);
const lsetxattr = lazySymbol('lsetxattr', 5);
const fsetxattr = lazySymbol('fsetxattr', 5);
const lremovexattr = lazySymbol('lremovexattr', 2);

// XATTR_SIZE_MAX and XATTR_LIST_MAX are both this; larger ones cannot exist.
const MAX_BYTES = 65536;
const CAPACITY = BigInt(MAX_BYTES);
let scratch: Scratch<Buffer> | undefined;

function result(): Scratch<Buffer> {
  return (scratch ??= new Scratch(Buffer.allocUnsafeSlow(MAX_BYTES)));
}

function value(length: number, syscall: string, path: PathBytes | undefined): Buffer {
  return Buffer.from(result().memory.subarray(0, check(length, syscall, path)));
}

function names(length: number, syscall: string, path: PathBytes | undefined): string[] {
  const bytes = check(length, syscall, path);
  return bytes === 0
    ? []
    : result()
        .memory.toString('utf8', 0, bytes - 1)
        .split('\0');
}

/** The extended attribute calls of the real kernel. */
export const xattrCalls: XattrCalls = {
  getXattr(path, name) {
    const key = secondPath(name, 'getxattr');
    return value(getxattr()(firstPath(path, 'getxattr'), key, result().address, CAPACITY), 'getxattr', path);
  },
  lgetXattr(path, name) {
    const key = secondPath(name, 'getxattr');
    return value(lgetxattr()(firstPath(path, 'getxattr'), key, result().address, CAPACITY), 'getxattr', path);
  },
  fgetXattr(fd, name) {
    return value(
      fgetxattr()(int(fd), secondPath(name, 'getxattr'), result().address, CAPACITY),
      'getxattr',
      name,
    );
  },
  listXattr(path) {
    return names(listxattr()(firstPath(path, 'listxattr'), result().address, CAPACITY), 'listxattr', path);
  },
  llistXattr(path) {
    return names(llistxattr()(firstPath(path, 'listxattr'), result().address, CAPACITY), 'listxattr', path);
  },
  flistXattr(fd) {
    return names(flistxattr()(int(fd), result().address, CAPACITY), 'listxattr', undefined);
  },
  llistXattrBytes(path) {
    const length = check(
      llistxattr()(firstPath(path, 'listxattr'), result().address, CAPACITY),
      'listxattr',
      path,
    );
    const found: Buffer[] = [];
    for (let start = 0; start < length;) {
      const end = result().memory.indexOf(0, start);
      found.push(Buffer.from(result().memory.subarray(start, end)));
      start = end + 1;
    }
    return found;
  },
  setXattr(path, name, bytes, flags = 0) {
    const key = secondPath(name, 'setxattr');
    const size = int(bytes.length);
    check(setxattr()(firstPath(path, 'setxattr'), key, bytes, size, int(flags)), 'setxattr', path);
  },
  lsetXattr(path, name, bytes, flags = 0) {
    const key = secondPath(name, 'setxattr');
    const size = int(bytes.length);
    check(lsetxattr()(firstPath(path, 'setxattr'), key, bytes, size, int(flags)), 'setxattr', path);
  },
  fsetXattr(fd, name, bytes, flags = 0) {
    check(
      fsetxattr()(int(fd), secondPath(name, 'setxattr'), bytes, int(bytes.length), int(flags)),
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
