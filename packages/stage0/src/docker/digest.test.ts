// Digests and streams checked against them (hostile inputs 29, 39).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { checkDigest, parseDigest, sha256Of, verified } from './digest.ts';

const HEX = 'ab'.repeat(32);

describe('digests', () => {
  it('are of two kinds', () => {
    assert.deepEqual(parseDigest(`sha256:${HEX}`, 'x'), {
      algorithm: 'sha256',
      hex: HEX,
      text: `sha256:${HEX}`,
    });
    assert.equal(parseDigest(`sha512:${HEX}${HEX}`, 'x').algorithm, 'sha512');
  });
  for (const text of [
    '',
    HEX,
    'sha256:',
    'sha256:../../x',
    `sha256:../${HEX.slice(3)}`,
    `sha256:${HEX.toUpperCase()}`,
    `SHA256:${HEX}`,
    `sha256:${HEX.slice(1)}`,
    `sha256:${HEX}a`,
    `sha256:${HEX}\n`,
    `sha512:${HEX}`,
    `md5:${HEX.slice(32)}`,
    `sha384:${HEX}${HEX.slice(32)}`,
    `sha256+x:${HEX}`,
    ` sha256:${HEX}`,
  ]) {
    it(`refuse ${JSON.stringify(text)}`, () =>
      assert.throws(() => parseDigest(text, 'layer'), { code: 'bad-image', message: /^layer: bad digest/ }));
  }

  const expected = (bytes: Uint8Array): Parameters<typeof verified>[1] => ({
    digest: parseDigest(sha256Of(bytes), 'x'),
    sizeBytes: bytes.length,
    what: 'layer',
  });
  const drain = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of source) chunks.push(chunk);
    return Buffer.concat(chunks);
  };

  it('pass what they name, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array()), async (chunks) => {
        const bytes = Buffer.concat(chunks);
        assert.deepEqual(await drain(verified(chunks, expected(bytes))), bytes);
        assert.deepEqual(await drain(verified(chunks, { ...expected(bytes), sizeBytes: -1 })), bytes);
      }),
    );
  });
  it('refuse every other stream', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), fc.uint8Array(), async (wanted, given) => {
        if (Buffer.compare(wanted, given) === 0) return;
        const rejected = { code: 'digest-mismatch' };
        await assert.rejects(drain(verified([given], expected(wanted))), rejected);
        await assert.rejects(drain(verified([given], { ...expected(wanted), sizeBytes: -1 })), rejected);
        assert.throws(() => checkDigest(given, parseDigest(sha256Of(wanted), 'x'), 'config'), rejected);
      }),
    );
  });
  it('end a stream that does not end by itself', async () => {
    let produced = 0;
    function* endless(): Generator<Buffer> {
      for (;;) {
        produced += 1;
        yield Buffer.alloc(10);
      }
    }
    await assert.rejects(drain(verified(endless(), expected(Buffer.alloc(25)))), {
      message: 'layer is longer than the 25 bytes that were announced',
    });
    assert.equal(produced, 3);
  });
});
