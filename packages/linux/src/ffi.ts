// Calls into libc through node:ffi: symbols bound at first use, errno, and the scratch memory that names are
// encoded into. The only file that loads node:ffi. Runs in every process, on the thread that called.
//
// All arguments are declared as pointers, whatever they are: then node hands them to libc without a detour through
// JavaScript of its own that looks at every one of them. On the development machine that is 2 microseconds for a
// call in place of 9 while a program starts, 1.5 in place of 3 later. A register holds an integer as it holds a
// pointer, and there are registers for six.
//
// It costs 0.06 ms to open libc and 0.1-0.3 ms to use a symbol first. Hence nothing is bound before it is needed.

import type { DynamicLibrary } from 'node:ffi';

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

/** What a register can hold: an integer that is not negative ({@link int}), or where something is in memory. */
export type Word = bigint | Memory | null;

/** Memory that a call reads or writes. */
export type Memory = Uint8Array | Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

interface Words {
  readonly 0: readonly [];
  readonly 1: readonly [Word];
  readonly 2: readonly [Word, Word];
  readonly 3: readonly [Word, Word, Word];
  readonly 4: readonly [Word, Word, Word, Word];
  readonly 5: readonly [Word, Word, Word, Word, Word];
  readonly 6: readonly [Word, Word, Word, Word, Word, Word];
}

/** What a function returns: an int, or a size that fits one; 64 bits. */
interface Results {
  readonly i32: number;
  readonly i64: bigint;
}

type LibcFunction<Count extends keyof Words, Result extends keyof Results> = (
  ...words: Words[Count]
) => Results[Result];

/** A libc function of so many arguments, bound at its first use. */
export function lazySymbol<const Count extends keyof Words, const Result extends keyof Results = 'i32'>(
  name: string,
  count: Count,
  // Left out, it is what the type says.
  result: Result = 'i32' as Result,
): () => LibcFunction<Count, Result> {
  let bound: LibcFunction<Count, Result> | undefined;
  return () => (bound ??= bind(name, count, result) as LibcFunction<Count, Result>);
}

function bind(name: string, count: number, result: keyof Results): unknown {
  const pointers = Array.from({ length: count }, () => 'pointer' as const);
  return loadLibc().library.getFunction(name, { arguments: pointers, return: result });
}

const boundSyscall = lazySymbol('syscall', 6);

/** syscall(2), for calls that old C libraries lack. */
export function systemCall(
  number: bigint,
  first: Word = 0n,
  second: Word = 0n,
  third: Word = 0n,
  fourth: Word = 0n,
  fifth: Word = 0n,
): number {
  return boundSyscall()(number, first, second, third, fourth, fifth);
}

// Descriptors, flags, modes: most of what calls are given, made once each.
const SMALL = 512;
const small: bigint[] = [];

/** An int or a size below 4 GiB as a register holds it; of a negative one calls see the low 32 bits. */
export function int(value: number): bigint {
  if (value >= 0 && value < SMALL) return (small[value] ??= BigInt(value));
  return BigInt(value >>> 0);
}

/** The address of a libc function, for calls that take one. */
export function functionAddress(name: string): bigint {
  return loadLibc().library.getSymbol(name);
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

/** Memory that one call after the other uses: asking node where it is takes as long as many a call. */
export class Scratch<Kind extends Memory> {
  readonly memory: Kind;
  #address: bigint | undefined;

  constructor(memory: Kind) {
    this.memory = memory;
  }

  get address(): bigint {
    return (this.#address ??= addressOf(this.memory));
  }
}

// A UTF-16 unit takes at most three bytes.
const firstScratch = new Scratch(Buffer.allocUnsafeSlow(3 * PATH_MAX + 1));
const secondScratch = new Scratch(Buffer.allocUnsafeSlow(3 * PATH_MAX + 1));

/** Where a name is, with its final NUL, in memory that the next call reuses. */
export function firstPath(path: PathBytes, syscall: string): bigint {
  encode(firstScratch.memory, path, syscall);
  return firstScratch.address;
}

/** As {@link firstPath}, for the second name of a call. */
export function secondPath(path: PathBytes, syscall: string): bigint {
  encode(secondScratch.memory, path, syscall);
  return secondScratch.address;
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
  let address = addressOf(array) + BigInt(pointersLength);
  for (const [index, { length }] of strings.entries()) {
    array.writeBigUInt64LE(address, index * POINTER_BYTES);
    address += BigInt(length);
  }
  return array;
}

const POINTER_BYTES = 8;

/** Where memory is; whoever passes it on keeps it. */
export function addressOf(memory: Memory): bigint {
  return loadLibc().ffi.getRawPointer(memory);
}

function encode(scratch: Buffer, path: PathBytes, syscall: string): void {
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
