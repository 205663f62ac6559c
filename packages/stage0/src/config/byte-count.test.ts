import assert from 'node:assert/strict';

import { parseQuantity, quantityBytes } from '@rkt/spec/quantity';
import fc from 'fast-check';

import { parseByteCount } from './byte-count.ts';

describe('parseByteCount', () => {
  it('reads what quantities read', () => {
    const suffix = fc.constantFrom('', 'k', 'K', 'M', 'G', 'T', 'Ki', 'Mi', 'Gi', 'Ti');
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 8000 }),
        fc.integer({ min: 0, max: 99 }),
        suffix,
        (a, b, unit) => {
          for (const text of [`${a}${unit}`, `${a}.${b}${unit}`]) {
            assert.equal(parseByteCount(text), Number(quantityBytes(parseQuantity(text))), text);
          }
        },
      ),
    );
  });
  it('refuses everything else', () => {
    for (const text of ['', '-1', '1 M', '1mi', '1ki', '1m', 'x', '1e3', '0x10', '.5', '1.', '9'.repeat(16)])
      assert.equal(parseByteCount(text), undefined, text);
  });
});
