// Bills of materials, judged by the schema of CycloneDX; and signatures, judged by GnuPG.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { TempDir } from '@rkt/testkit/tmp';
import type { AciInfo } from './aci.ts';
import { npmPackagesOf, writeSbom } from './sbom.ts';
import { SIGNING_KEY, signImage } from './sign.ts';

const IMAGE: AciInfo = {
  name: 'example.com/stage1',
  version: '1.2.3',
  key: `sha512-${'a'.repeat(64)}`,
  interfaceVersion: 5,
  sha256: 'b'.repeat(64),
  uncompressedBytes: 2,
  compressedBytes: 1,
};
const DEBIAN = { name: 'libstdc++6', version: '1:12.2.0-14+deb12u1', sha256: 'c'.repeat(64) };

interface Bill {
  readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
  readonly components: readonly { readonly name: string; readonly purl: string }[];
}

describe('a bill of materials', () => {
  const npm = npmPackagesOf([
    'node_modules/io-ts/es6/index.js',
    'node_modules/io-ts/es6/Type.js',
    'tools/x.ts',
  ]);
  let text: string;
  before(() => {
    using tmp = new TempDir('sbom');
    const file = tmp.join('image.cdx.json');
    writeSbom(file, IMAGE, { debian: [DEBIAN], npm }, new Date('2020-01-01T00:00:00Z'));
    text = fs.readFileSync(file, 'utf8');
    writeSbom(file, IMAGE, { debian: [DEBIAN], npm }, new Date('2020-01-01T00:00:00Z'));
    assert.equal(fs.readFileSync(file, 'utf8'), text, 'the same image has the same bill');
  });

  it('is valid', async () => {
    const validator = new Validation.JsonStrictValidator(Spec.Spec1dot6.version);
    assert.equal(await validator.validate(text), null);
    assert.notEqual(await validator.validate(text.replace('"container"', '"jar"')), null, 'judges nothing');
  });
  it('names the image and each part once, by a package URL', () => {
    const { metadata, components } = JSON.parse(text) as Bill;
    assert.equal(metadata.component.name, 'example.com/stage1');
    assert.equal(metadata.component.version, '1.2.3');
    const [first, second, ...others] = components.map(({ purl }) => purl).sort();
    assert.equal(first, 'pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1?arch=amd64');
    assert.match(second ?? '', /^pkg:npm\/io-ts@\d/);
    assert.deepEqual(others, []);
  });
});

describe('the signature of a stage1 image', () => {
  it('is made with the key that was named, and goes when none is', () => {
    using tmp = new TempDir('sign');
    const environment = { PATH: process.env['PATH'], GNUPGHOME: tmp.join('gnupg') };
    fs.mkdirSync(environment.GNUPGHOME, { mode: 0o700 });
    const gpg = (...words: string[]): string =>
      execFileSync('gpg', ['--batch', ...words], { env: environment, encoding: 'utf8', stdio: 'pipe' });
    gpg('--passphrase', '', '--quick-generate-key', 'builder@example.com', 'ed25519', 'sign', 'never');
    try {
      const image = tmp.join('stage1.aci');
      fs.writeFileSync(image, 'image');
      signImage(image, { ...environment, [SIGNING_KEY]: 'builder@example.com' });
      gpg('--verify', `${image}.asc`, image);
      signImage(image, environment);
      assert.equal(fs.existsSync(`${image}.asc`), false);
      assert.throws(() => signImage(image, { ...environment, [SIGNING_KEY]: 'nobody@example.com' }));
    } finally {
      execFileSync('gpgconf', ['--kill', 'gpg-agent'], { env: environment });
    }
  });
});
