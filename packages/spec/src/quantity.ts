// Quantities of resources: `512Mi`, `1.5`, `250m`, `1e3` (contract stage0 3.5). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { scalar } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse } from './errors.ts';

/** Which family of suffixes a quantity is written with. */
export type QuantityFormat = 'binary' | 'decimal' | 'exponent';

export interface Quantity {
  /** Thousandths, rounded away from zero. */
  readonly milli: bigint;
  readonly format: QuantityFormat;
}

const QUANTITY = /^([+-]?)(\d{1,100})(?:\.(\d{0,100}))?(?:([KMGTPE]i)|([mkKMGTPE])|[eE]([+-]?\d{1,4}))?$/;

const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const DECIMAL = ['m', '', 'k', 'M', 'G', 'T', 'P', 'E'];

/** Larger amounts count as this one, as in Go: 2^63-1. */
const MOST = (2n ** 63n - 1n) * 1000n;

/** @throws SpecError when `text` is not `[+-]digits[.digits][suffix]` */
export function parseQuantity(text: string): Quantity {
  const match = QUANTITY.exec(text);
  if (match === null) {
    refuse(
      `bad quantity ${quote(text)}: must be a number with one of the suffixes Ki Mi Gi Ti Pi Ei m k M G T P E eN`,
    );
  }
  const [, sign, whole = '', fraction = '', binary, decimal, exponent] = match;
  const digits = BigInt(whole + fraction);
  const format = binary !== undefined ? 'binary' : exponent !== undefined ? 'exponent' : 'decimal';

  let scale = 1n;
  let power = 3 - fraction.length;
  if (binary !== undefined) scale = 1024n ** BigInt(BINARY.indexOf(binary));
  else if (decimal !== undefined) power += 3 * (DECIMAL.indexOf(decimal === 'K' ? 'k' : decimal) - 1);
  // Beyond a few hundred digits only the cap and the smallest step are left.
  else if (exponent !== undefined) power += Math.max(-400, Math.min(400, Number(exponent)));

  const amount =
    power >= 0 ? digits * scale * 10n ** BigInt(power) : divideUp(digits * scale, 10n ** BigInt(-power));
  const milli = amount > MOST ? MOST : amount;
  return { milli: sign === '-' ? -milli : milli, format };
}

/** Thousandths: milli-cores of a cpu quantity. */
export function quantityMilli(quantity: Quantity): bigint {
  return quantity.milli;
}

/** Whole units, rounded up: bytes of a memory quantity. */
export function quantityBytes({ milli }: Quantity): bigint {
  return milli < 0n ? -(-milli / 1000n) : divideUp(milli, 1000n);
}

/** The canonical text: no fraction, the largest suffix of the family that loses nothing. */
export function formatQuantity({ milli, format }: Quantity): string {
  const amount = milli < 0n ? -milli : milli;
  const sign = milli < 0n ? '-' : '';
  if (amount === 0n) return '0';
  if (format === 'binary' && amount >= 1024_000n) {
    const [number, step] = reduce(divideUp(amount, 1000n), 1024n, BINARY.length - 1);
    return `${sign}${number}${BINARY[step]}`;
  }
  const [number, step] = reduce(amount, 1000n, DECIMAL.length - 1);
  if (format !== 'exponent') return `${sign}${number}${DECIMAL[step]}`;
  return step === 1 ? `${sign}${number}` : `${sign}${number}e${3 * (step - 1)}`;
}

/** A quantity in a manifest, as the text it was given in. */
export const QuantityText: Codec<string> = scalar('Quantity', (text) => {
  parseQuantity(text);
  return text;
});

function reduce(amount: bigint, base: bigint, most: number): [number: bigint, step: number] {
  let step = 0;
  for (; step < most && amount % base === 0n; step += 1) amount /= base;
  return [amount, step];
}

function divideUp(dividend: bigint, divisor: bigint): bigint {
  return (dividend + divisor - 1n) / divisor;
}
