// Quantities (contract stage0 3.5, 11.6).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { SpecError } from './errors.ts';
import { formatQuantity, parseQuantity, type Quantity, quantityBytes, quantityMilli } from './quantity.ts';

const canonical = (text: string): string => formatQuantity(parseQuantity(text));

describe('parseQuantity', () => {
  it('counts in thousandths', () => {
    const vectors: Record<string, bigint> = {
      '0': 0n,
      '1': 1000n,
      '+1.5': 1500n,
      '-1.5': -1500n,
      '800m': 800n,
      '1Ki': 1024_000n,
      '16M': 16_000_000_000n,
      '16K': 16_000_000n,
      '1E': 10n ** 21n,
      '1e3': 1_000_000n,
      '1E-2': 10n,
      '1.': 1000n,
    };
    for (const [text, milli] of Object.entries(vectors))
      assert.equal(quantityMilli(parseQuantity(text)), milli, text);
  });
  it('rounds away from zero at the third decimal', () => {
    assert.equal(parseQuantity('0.0001').milli, 1n);
    assert.equal(parseQuantity('-0.0001').milli, -1n);
    assert.equal(parseQuantity('1e-9999').milli, 1n);
  });
  it('caps at 2^63-1 whatever the exponent', () => {
    for (const text of ['8Ei', '9999999999999999999999', '1e9999', '1e20']) {
      assert.equal(quantityBytes(parseQuantity(text)), 2n ** 63n - 1n, text);
    }
    assert.equal(parseQuantity('0e9999').milli, 0n);
  });
  it('refuses everything else', () => {
    for (const text of [
      '',
      '.',
      '.5',
      '1.2.3',
      '1 Mi',
      '1mi',
      '1KI',
      '1u',
      'Mi',
      '1e',
      '--1',
      '0x1',
      '1e99999',
      '1'.repeat(200),
    ]) {
      assert.throws(() => parseQuantity(text), { code: 'bad-value' }, text);
    }
  });
});

describe('quantityBytes', () => {
  it('rounds up', () => {
    assert.equal(quantityBytes(parseQuantity('1.5')), 2n);
    assert.equal(quantityBytes(parseQuantity('64Mi')), 67108864n);
    assert.equal(quantityBytes(parseQuantity('-1.5')), -1n);
  });
});

const magnitude = ({ milli }: Quantity): bigint => (milli < 0n ? -milli : milli);

describe('formatQuantity', () => {
  it('has no fraction and the largest suffix of the family', () => {
    const vectors = {
      '1.5Gi': '1536Mi',
      '1.5': '1500m',
      '16M': '16M',
      '1000': '1k',
      '1000000K': '1G',
      '1024': '1024',
      '0.5Ki': '512',
      '1024Ki': '1Mi',
      '1e3': '1e3',
      '1500e-3': '1500e-3',
      '10e2': '1e3',
      '5e0': '5',
      '-2048Ki': '-2Mi',
      '0Gi': '0',
      '0.0001Ki': '103m',
    };
    for (const [text, wanted] of Object.entries(vectors)) assert.equal(canonical(text), wanted, text);
  });
  it('keeps the amount and is a fixed point', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'Ei', 'e3', 'E-2');
    const text = fc.tuple(fc.integer(), fc.nat(999), suffix).map(([a, b, s]) => `${a}.${b}${s}`);
    fc.assert(
      fc.property(text, (given) => {
        const quantity = parseQuantity(given);
        const again = parseQuantity(formatQuantity(quantity));
        if (quantity.format !== 'binary') assert.equal(again.milli, quantity.milli);
        // A binary amount that needs no suffix reads as a decimal one, which may get a suffix, as in Go.
        if (again.format === quantity.format) assert.equal(formatQuantity(again), formatQuantity(quantity));
        const amount = magnitude(quantity);
        const whole = amount < 1024_000n ? amount : ((amount + 999n) / 1000n) * 1000n;
        if (quantity.format === 'binary') assert.equal(magnitude(again), whole);
      }),
    );
  });
  it('fails only as a bad value', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[-+.0-9eEKMGimk]*$/), (text) => {
        try {
          canonical(text);
        } catch (error) {
          assert.ok(error instanceof SpecError);
        }
      }),
    );
  });
});
