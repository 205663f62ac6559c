// Calls into libc through node:ffi: symbols bound at first use, errno, and the scratch memory that names are
// encoded into. The only file that loads node:ffi. Runs in every process, on the thread that called.
//
// Cost on the development machine: 0.06 ms to open libc, 0.1-0.3 ms for the first use of a symbol, then
// 0.2 microseconds a call plus what the kernel takes. Hence nothing is bound before it is needed.

import type { DynamicLibrary, FunctionSignature, WrappedFunctionFromSignature } from 'node:ffi';

import { KernelError, type PathBytes } from './errno.ts';

// PATH_MAX counts the final NUL.
const PATH_MAX = 4096;
const EINVAL = 22;
const ENAMETOOLONG = 36;
const ENOSYS = 38;
const EILSEQ = 84;

type Ffi = typeof import('node:ffi');

interface Libc {
  readonly ffi: Ffi;
  readonly library: DynamicLibrary;
  readonly errnoAddress: bigint;
}

let libc: Libc | undefined;

// Loaded on demand rather than imported: commands that make no system call of their own do not pay for it.
function loadLibc(): Libc {
  if (libc !== undefined) return libc;
  const ffi = process.getBuiltinModule('node:ffi') as Ffi | undefined;
  if (ffi === undefined) {
    throw new KernelError('dlopen', ENOSYS, {
      path: 'libc.so.6',
      text: 'this node has no node:ffi',
      hint: 'use the node that comes with rkt',
    });
  }
  const library = new ffi.DynamicLibrary('libc.so.6');
  // One address for the life of the thread (__errno_location in glibc and the LSB).
  const errnoLocation = library.getFunction('__errno_location', { arguments: [], return: 'pointer' });
  libc = { ffi, library, errnoAddress: errnoLocation() };
  return libc;
}

/** A libc function bound at its first use. `i64`, `u64` and sizes are bigint. */
export function lazySymbol<const T extends FunctionSignature>(
  name: string,
  signature: T,
): () => WrappedFunctionFromSignature<T> {
  let bound: WrappedFunctionFromSignature<T> | undefined;
  return () => (bound ??= loadLibc().library.getFunction(name, signature));
}

/** The address of a libc function, for calls that take one. */
export function functionAddress(name: string): bigint {
  return loadLibc().library.getSymbol(name);
}

/**
 * syscall(2) bound at its first use with a signature of its own, for calls that old C libraries lack.
 * The first argument is the number as `i64`.
 */
export function lazySyscall<const T extends FunctionSignature>(
  signature: T,
): () => WrappedFunctionFromSignature<T> {
  let bound: WrappedFunctionFromSignature<T> | undefined;
  // A library object refuses a second signature for one symbol, so each raw call opens libc anew (a reference count).
  return () => (bound ??= new (loadLibc().ffi.DynamicLibrary)('libc.so.6').getFunction('syscall', signature));
}

/** The number of a system call that differs between architectures. */
export function syscallNumber(x64: bigint, arm64: bigint): bigint {
  if (process.arch === 'x64') return x64;
  if (process.arch === 'arm64') return arm64;
  throw new KernelError('syscall', ENOSYS, { text: `architecture ${process.arch} is not supported` });
}

/** errno of the call just made. Nothing but JavaScript may run in between. */
export function lastErrno(): number {
  const { ffi, errnoAddress } = loadLibc();
  return ffi.getInt32(errnoAddress);
}

/** Passes a result through, or throws the error that -1 stands for. */
export function check(result: number, syscall: string, path?: PathBytes): number {
  if (result === -1) throw new KernelError(syscall, lastErrno(), { path });
  return result;
}

/** {@link check} for calls with two names. */
export function checkTwo(result: number, syscall: string, from: PathBytes, to: PathBytes): void {
  if (result === -1) throw new KernelError(syscall, lastErrno(), { path: bothPaths(from, to) });
}

// A UTF-16 unit takes at most three bytes.
const firstScratch = Buffer.allocUnsafeSlow(3 * PATH_MAX + 1);
const secondScratch = Buffer.allocUnsafeSlow(3 * PATH_MAX + 1);

/** A name with its final NUL, in memory that the next call reuses. */
export function firstPath(path: PathBytes, syscall: string): Buffer {
  return encode(firstScratch, path, syscall);
}

/** As {@link firstPath}, for the second name of a call. */
export function secondPath(path: PathBytes, syscall: string): Buffer {
  return encode(secondScratch, path, syscall);
}

/** Text with its final NUL in memory of its own, of any length: mount data. */
export function ownString(text: PathBytes, syscall: string): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'utf8') : text;
  if (bytes.includes(0))
    throw new KernelError(syscall, EINVAL, { path: text, text: 'text holds a NUL byte' });
  const owned = Buffer.alloc(bytes.length + 1);
  owned.set(bytes);
  return owned;
}

/** Texts as a null-terminated array of C strings, for execve(2): the pointers, and behind them what they point to. */
export function stringArray(texts: readonly string[], syscall: string): Buffer {
  const strings = texts.map((text) => ownString(text, syscall));
  const pointersLength = (texts.length + 1) * POINTER_BYTES;
  // One piece of memory, so that whoever holds the array holds the strings.
  const array = Buffer.concat([Buffer.alloc(pointersLength), ...strings]);
  let address = loadLibc().ffi.getRawPointer(array) + BigInt(pointersLength);
  for (const [index, { length }] of strings.entries()) {
    array.writeBigUInt64LE(address, index * POINTER_BYTES);
    address += BigInt(length);
  }
  return array;
}

const POINTER_BYTES = 8;

/** Where bytes are; whoever passes it on keeps them. */
export function addressOf(bytes: Uint8Array): bigint {
  return loadLibc().ffi.getRawPointer(bytes);
}

function encode(scratch: Buffer, path: PathBytes, syscall: string): Buffer {
  let length = path.length;
  if (length < PATH_MAX) {
    if (typeof path === 'string') {
      if (path.includes('\0')) throw nulByte(syscall, path);
      // Encoding would put a replacement character in place of a lone surrogate: another name than was asked for.
      if (!path.isWellFormed()) throw new KernelError(syscall, EILSEQ, { path });
      length = scratch.write(path, 0, 'utf8');
    } else {
      if (path.includes(0)) throw nulByte(syscall, path);
      scratch.set(path);
    }
  }
  if (length >= PATH_MAX) throw new KernelError(syscall, ENAMETOOLONG, { path: shorten(path) });
  scratch[length] = 0;
  return scratch;
}

// The kernel would silently see a shorter name.
function nulByte(syscall: string, path: PathBytes): KernelError {
  return new KernelError(syscall, EINVAL, { path, text: 'file name holds a NUL byte' });
}

function shorten(path: PathBytes): PathBytes {
  return typeof path === 'string'
    ? `${path.slice(0, 128)}...`
    : Buffer.concat([path.subarray(0, 128), Buffer.from('...')]);
}

function bothPaths(from: PathBytes, to: PathBytes): PathBytes {
  if (typeof from === 'string' && typeof to === 'string') return `${from} -> ${to}`;
  return Buffer.concat([Buffer.from(from as string), Buffer.from(' -> '), Buffer.from(to as string)]);
}
