// Numbers of tar headers: octal text, or base 256 when the first bit is set. Pure; runs in stage0.

import { refuse } from './errors.ts';

/**
 * The number in `length` bytes at `offset`; 0 for a blank field, undefined for text that is no octal number.
 * @throws UnpackError `bad-archive` for a number beyond 2^53.
 */
export function tarNumber(block: Buffer, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  if ((first & 0x80) !== 0) return binaryNumber(block, offset, length);
  let at = offset;
  const end = offset + length;
  while (at < end && block[at] === 0x20) at += 1;
  let value = 0;
  for (; at < end; at += 1) {
    const digit = (block[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  for (; at < end; at += 1) {
    const byte = block[at];
    if (byte === 0) break;
    if (byte !== 0x20) return undefined;
  }
  return Number.isSafeInteger(value) ? value : undefined;
}

// Two's complement, big endian; the first bit only marks the form.
function binaryNumber(block: Buffer, offset: number, length: number): number {
  const first = block[offset] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = BigInt(negative ? (first & 0xff) - 0x100 : first & 0x7f);
  for (let at = offset + 1; at < offset + length; at += 1) value = value * 256n + BigInt(block[at] ?? 0);
  const number = Number(value);
  if (!Number.isSafeInteger(number)) refuse('bad-archive', 'number out of range in a tar header');
  return number;
}
