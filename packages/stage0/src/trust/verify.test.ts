// Detached signatures, made and judged by GnuPG as well (contract stage0 6.3; hostile inputs 46, 47).

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

import { type GpgKeyOptions, GpgHome, type GpgSignOptions } from '@rkt/testkit/gpg-keys';
import { TempDir } from '@rkt/testkit/tmp';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { addKey } from './add-key.ts';
import { type Keystore, openKeystore } from './keystore.ts';
import { readPublicKeys, identitiesOf } from './public-key.ts';
import { assertKnownSigner, verifyDetached } from './verify.ts';

const NAME = 'example.com/app';
const CONTENT = Buffer.from('the bytes of an image\r\nand more\n');
const DAY_MS = 24 * 3600 * 1000;
const ago = (days: number): Date => new Date(Date.now() - days * DAY_MS);

describe('detached signatures', function () {
  this.timeout(60_000);
  let gpg: GpgHome;
  let tmp: TempDir;
  let keystore: Keystore;
  before(() => {
    gpg = new GpgHome();
  });
  after(() => gpg.remove());
  beforeEach(() => {
    tmp = new TempDir('verify');
    keystore = openKeystore({ systemConfig: tmp.join('system'), localConfig: tmp.join('local') });
  });
  afterEach(() => tmp.remove());

  let serial = 0;
  const makeKey = (options: GpgKeyOptions = {}): string =>
    gpg.makeKey(`Builder ${(serial += 1)} <b${serial}@example.com>`, options);
  const trust = (key: string, prefix: string | undefined = 'example.com'): string =>
    addKey(keystore, prefix, key.toLowerCase(), gpg.exportKey(key));
  const verify = (signature: Uint8Array, content: Uint8Array = CONTENT, name = NAME) =>
    verifyDetached(keystore, name, signature, [content.subarray(0, 7), content.subarray(7)]);
  const isGood = async (key: string, signer = key, options: GpgSignOptions = {}): Promise<void> => {
    const signature = gpg.sign(CONTENT, signer, options);
    assert.match(gpg.verify(CONTENT, signature), /\] VALIDSIG /, 'gpg agrees');
    assert.equal((await verify(signature)).fingerprint, key.toLowerCase());
  };
  const isRefused = async (
    signature: Uint8Array,
    message: RegExp,
    gpgStatus: RegExp | undefined,
    code = 'bad-signature',
  ): Promise<void> => {
    if (gpgStatus !== undefined) assert.match(gpg.verify(CONTENT, signature), gpgStatus, 'gpg agrees');
    await assert.rejects(verify(signature), { code, message });
  };

  for (const algorithm of ['rsa2048', 'rsa3072', 'ed25519', 'nistp256', 'nistp521']) {
    describe(algorithm, () => {
      let key: string;
      before(() => {
        key = makeKey({ algorithm });
      });
      it('verifies, armored and binary, and names who signed', async () => {
        trust(key);
        for (const armor of [true, false]) {
          const { identities, fingerprint } = await verify(gpg.sign(CONTENT, key, { armor }));
          assert.equal(fingerprint, key.toLowerCase());
          assert.deepEqual(identities, [`Builder ${serial} <b${serial}@example.com>`]);
        }
      });
      it('refuses other bytes', async () => {
        trust(key);
        const signature = gpg.sign(CONTENT, key);
        await assert.rejects(verify(signature, Buffer.from('the bytes of another image')), {
          code: 'bad-signature',
        });
        await assert.rejects(verify(signature, CONTENT.subarray(1)), { code: 'bad-signature' });
        await assert.rejects(verify(signature, Buffer.alloc(0)), { code: 'bad-signature' });
      });
    });
  }
  for (const digest of ['SHA224', 'SHA256', 'SHA384', 'SHA512']) {
    it(`verifies ${digest}`, async () => {
      const key = makeKey({ algorithm: 'rsa2048' });
      trust(key);
      await isGood(key, key, { digest });
    });
  }

  describe('whose key', () => {
    it('is a root key', async () => {
      const key = makeKey();
      addKey(keystore, undefined, key.toLowerCase(), gpg.exportKey(key));
      await isGood(key);
    });
    it('is trusted for a name above, but not beside', async () => {
      const key = makeKey();
      trust(key, 'example.com/app');
      const signature = gpg.sign(CONTENT, key);
      await verify(signature, CONTENT, 'example.com/app/below');
      for (const name of ['example.com', 'example.com/apple', 'example.org/app']) {
        await assert.rejects(verify(signature, CONTENT, name), {
          code: 'unknown-signer',
          message: 'openpgp: signature made by unknown entity',
        });
      }
    });
    it('is told, with what to do, when it is unknown', async () => {
      const signature = gpg.sign(CONTENT, makeKey());
      await assert.rejects(verify(signature), {
        hint: /^key [0-9A-F]{16}: .*rkt trust --prefix "example.com\/app"/,
      });
      await assert.rejects(assertKnownSigner(keystore, NAME, signature), { code: 'unknown-signer' });
    });
    it('is known before the bytes are there', async () => {
      const key = makeKey();
      trust(key);
      await assertKnownSigner(keystore, NAME, gpg.sign(Buffer.from('other'), key));
    });
    it('is not one that is masked', async () => {
      const key = makeKey();
      const file = trust(key);
      const signature = gpg.sign(CONTENT, key);
      await verify(signature);
      writeFileSync(file, '');
      await isRefused(signature, /unknown entity/, /GOODSIG/, 'unknown-signer');
    });
    it('is refused when its file is named after another', async () => {
      const [key, other] = [makeKey(), makeKey()];
      addKey(keystore, 'example.com', other.toLowerCase(), gpg.exportKey(key));
      await assert.rejects(verify(gpg.sign(CONTENT, key)), {
        code: 'unsafe-key-file',
        message: `fingerprint mismatch: "${other.toLowerCase()}":"${key.toLowerCase()}"`,
      });
    });
    it('is refused when its file is no key at all, or a private one', async () => {
      const key = makeKey();
      for (const content of [Buffer.from('junk'), gpg.exportSecretKey(key)]) {
        addKey(keystore, 'example.com', key.toLowerCase(), content);
        await assert.rejects(verify(gpg.sign(CONTENT, key)), { code: 'bad-key' });
      }
    });
    it('is the new one after a key was replaced', async () => {
      const [old, young] = [makeKey(), makeKey()];
      const file = trust(old);
      writeFileSync(file, '');
      trust(young);
      await isGood(young);
      await isRefused(gpg.sign(CONTENT, old), /unknown entity/, undefined, 'unknown-signer');
    });
  });

  describe('subkeys', () => {
    let key: string;
    beforeEach(() => {
      key = makeKey();
    });
    it('that sign count', async () => {
      const subkey = gpg.addSubkey(key, { algorithm: 'rsa2048' });
      trust(key);
      await isGood(key, `${subkey}!`);
      await isGood(key, `${key}!`);
    });
    it('of a primary key that only certifies count', async () => {
      const certifier = makeKey({ usage: 'cert' });
      const subkey = gpg.addSubkey(certifier);
      trust(certifier);
      await isGood(certifier, `${subkey}!`);
    });
    it('that are revoked do not', async () => {
      const subkey = gpg.addSubkey(key);
      const signature = gpg.sign(CONTENT, `${subkey}!`);
      trust(key);
      await verify(signature);
      gpg.revoke(key, 1);
      trust(key);
      await isRefused(signature, /revoked|not find valid signing key/, /REVKEYSIG/);
      await isGood(key, `${key}!`);
    });
    it('that were expired when they signed do not', async () => {
      const old = makeKey({ now: ago(30) });
      const subkey = gpg.addSubkey(old, { now: ago(30) });
      const signature = gpg.sign(CONTENT, `${subkey}!`, { now: ago(10) });
      trust(old);
      await verify(signature);
      gpg.setExpiry(old, '2d', { subkey, now: ago(29) });
      trust(old);
      await isRefused(signature, /expired/, /EXPKEYSIG/);
    });
    it('that are expired by now do not: dates of signatures are what the signer says', async () => {
      const old = makeKey({ now: ago(30) });
      const subkey = gpg.addSubkey(old, { now: ago(30), expires: '20d' });
      trust(old);
      await isRefused(gpg.sign(CONTENT, `${subkey}!`, { now: ago(20) }), /expired/, /EXPKEYSIG/);
    });
    it('that came with the key file but are not bound to the key do not', async () => {
      const other = makeKey();
      const subkey = gpg.addSubkey(other);
      // The packets of another key's subkey behind those of a trusted key.
      const foreign = gpg.exportKey(other, false);
      const at = foreign.indexOf(0xb8);
      addKey(
        keystore,
        'example.com',
        key.toLowerCase(),
        Buffer.concat([gpg.exportKey(key, false), foreign.subarray(at)]),
      );
      await assert.rejects(verify(gpg.sign(CONTENT, `${subkey}!`)));
    });
  });

  describe('refused', () => {
    it('a key that is expired', async () => {
      const key = makeKey({ now: ago(10), expires: '5d' });
      trust(key);
      await isRefused(gpg.sign(CONTENT, key, { now: ago(8) }), /expired/, /EXPKEYSIG/);
    });
    it('until its owner prolongs it', async () => {
      const key = makeKey({ now: ago(10), expires: '5d' });
      const signature = gpg.sign(CONTENT, key, { now: ago(8) });
      gpg.setExpiry(key, '1y', { now: ago(6) });
      trust(key);
      await verify(signature);
    });
    it('a signature that is expired', async () => {
      const key = makeKey({ now: ago(10) });
      trust(key);
      await isRefused(
        gpg.sign(CONTENT, key, { now: ago(8), expires: '2d' }),
        /signature is expired/,
        /EXPSIG/,
      );
    });
    it('a signature from the future', async () => {
      const key = makeKey();
      trust(key);
      await isRefused(gpg.sign(CONTENT, key, { now: ago(-5) }), /in the future/, undefined);
    });
    it('a key that is revoked', async () => {
      const key = makeKey();
      const signature = gpg.sign(CONTENT, key);
      gpg.revoke(key);
      trust(key);
      await isRefused(signature, /revoked/, /REVKEYSIG/);
    });
    it('SHA-1 and MD5', async () => {
      const key = makeKey({ algorithm: 'rsa2048' });
      trust(key);
      await isRefused(gpg.sign(CONTENT, key, { digest: 'SHA1' }), /insecure hash algorithm: SHA1/, undefined);
      await isRefused(
        gpg.sign(CONTENT, key, { digest: 'RIPEMD160' }),
        /insecure hash algorithm: RIPEMD/,
        undefined,
      );
    });
    it('a key that is too short, and DSA', async () => {
      for (const algorithm of ['rsa1024', 'dsa2048']) {
        const key = makeKey({ algorithm });
        trust(key);
        await isRefused(
          gpg.sign(CONTENT, key, { digest: 'SHA256' }),
          /bits|keys are considered too weak/,
          undefined,
        );
      }
    });
    it('a key that may not sign', async () => {
      const key = makeKey();
      const subkey = gpg.addSubkey(key, { usage: 'auth' });
      trust(key);
      const signature = gpg.sign(CONTENT, `${key}!`);
      // The signature of the primary key, said to be by a subkey for logins.
      const forged = replaced(
        gpg.sign(CONTENT, `${key}!`, { armor: false }),
        key.slice(-16),
        subkey.slice(-16),
      );
      await verify(signature);
      await assert.rejects(verify(forged), /openpgp/);
    });
    it('a signature over text, which lets line ends change', async () => {
      const key = makeKey();
      trust(key);
      await isRefused(gpg.sign(CONTENT, key, { form: 'text' }), /not over the bytes/, /GOODSIG/);
    });
  });

  describe('several signatures', () => {
    it('one good suffices beside one by somebody unknown', async () => {
      const [known, unknown] = [makeKey(), makeKey({ algorithm: 'rsa2048' })];
      trust(known);
      for (const signers of [
        [known, unknown],
        [unknown, known],
      ]) {
        assert.equal((await verify(gpg.sign(CONTENT, signers))).fingerprint, known.toLowerCase());
      }
    });
    it('one good suffices beside one by a revoked key', async () => {
      const [good, bad] = [makeKey(), makeKey()];
      const signature = gpg.sign(CONTENT, [bad, good]);
      gpg.revoke(bad);
      for (const key of [good, bad]) trust(key);
      assert.equal((await verify(signature)).fingerprint, good.toLowerCase());
    });
    it('none good is refused', async () => {
      const [a, b] = [makeKey(), makeKey()];
      for (const key of [a, b]) trust(key);
      await isRefused(gpg.sign(Buffer.from('other'), [a, b]), /did not match/, /BADSIG/);
    });
    it('no more than a publisher can have', async () => {
      const key = makeKey();
      trust(key);
      const one = gpg.sign(CONTENT, key, { armor: false });
      await verify(Buffer.concat([one, one]));
      await isRefused(
        Buffer.concat(Array.from({ length: 40 }, () => one)),
        /more than 32/,
        undefined,
        'no-signature',
      );
    });
  });

  describe('what is no detached signature', () => {
    let key: string;
    before(() => {
      key = makeKey();
    });
    beforeEach(() => trust(key));
    const noSignature = (signature: Uint8Array): Promise<void> =>
      isRefused(
        signature,
        /^keystore: no valid signatures found in signature file/,
        undefined,
        'no-signature',
      );
    it('an empty file', () => noSignature(Buffer.alloc(0)));
    it('junk', () => noSignature(Buffer.from('<html>404</html>')));
    it('armor around junk', () =>
      noSignature(Buffer.from('-----BEGIN PGP SIGNATURE-----\n\n!!!!\n-----END PGP SIGNATURE-----\n')));
    it('armor without an end', () =>
      noSignature(
        Buffer.from(
          gpg
            .sign(CONTENT, key)
            .toString()
            .replace(/-----END.*/s, ''),
        ),
      ));
    it('an image with its signature inside', () => noSignature(gpg.sign(CONTENT, key, { form: 'inline' })));
    it('the same in binary', () => noSignature(gpg.sign(CONTENT, key, { form: 'inline', armor: false })));
    it('a signed text', () => noSignature(gpg.sign(CONTENT, key, { form: 'clear' })));
    it('a key', () => noSignature(gpg.exportKey(key)));
    it('an image', () => noSignature(Buffer.alloc(100_000, 'image')));
    it('text around an armored signature changes nothing', async () => {
      const armored = gpg.sign(CONTENT, key).toString();
      await verify(Buffer.from(`Signature of the release:\n\n${armored}\nthat is all\n`));
      await verify(Buffer.from(armored.replaceAll('\n', '\r\n')));
    });
  });

  it('fails in one way only, whatever is done to a signature or to the bytes', async () => {
    const key = makeKey();
    trust(key);
    const signature = gpg.sign(CONTENT, key, { armor: false });
    const flips = fc.record({ at: fc.nat(), bit: fc.nat({ max: 7 }) });
    await fc.assert(
      fc.asyncProperty(flips, flips, fc.boolean(), async (one, two, both) => {
        const content = flipped(CONTENT, one);
        await assert.rejects(verify(both ? flipped(signature, two) : signature, content), isTrustError);
        await verify(flipped(signature, two)).catch((error: unknown) =>
          assert.ok(isTrustError(error), String(error)),
        );
      }),
      { numRuns: runs(150) },
    );
  });

  it('names only user IDs that the key vouches for', async () => {
    const key = makeKey();
    gpg.addUserId(key, 'Second <second@example.com>');
    const text = Buffer.from('Somebody Else <else@example.com>');
    const stranger = Buffer.concat([Buffer.from([0xb4, text.length]), text]);
    const [read] = await readPublicKeys(Buffer.concat([gpg.exportKey(key, false), stranger]), 'test');
    assert.ok(read !== undefined);
    assert.deepEqual((await identitiesOf(read)).sort(), [
      `Builder ${serial} <b${serial}@example.com>`,
      'Second <second@example.com>',
    ]);
  });
});

function flipped(bytes: Buffer, { at, bit }: { at: number; bit: number }): Buffer {
  const copy = Buffer.from(bytes);
  const index = at % copy.length;
  copy[index] = (copy[index] ?? 0) ^ (1 << bit);
  return copy;
}

function isTrustError(error: unknown): boolean {
  return ['bad-signature', 'unknown-signer', 'no-signature'].includes(
    (error as { code?: string }).code ?? '',
  );
}

function replaced(bytes: Buffer, fromHex: string, toHex: string): Buffer {
  return Buffer.from(bytes.toString('hex').replaceAll(fromHex.toLowerCase(), toHex.toLowerCase()), 'hex');
}
