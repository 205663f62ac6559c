// Certificates of registries: those of the host, those of the user, and the wrong ones (hostile input 43).

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';

import { buildOciImage } from '@rkt/testkit/oci-builder';
import { type HostileRegistry, startHostileRegistry } from '@rkt/testkit/registry/hostile-registry';
import { type TlsFaults, type TlsIdentity, tlsIdentity } from '@rkt/testkit/registry/tls-identity';
import { TempDir } from '@rkt/testkit/tmp';

import { EMPTY_CONFIG } from '../../config/config.ts';
import { type ContextOverrides, TestContext } from '../testing/test-context.ts';

describe('registries with TLS', () => {
  let tmp: TempDir;
  let registry: HostileRegistry | undefined;
  beforeEach(() => {
    tmp = new TempDir('tls');
  });
  afterEach(async () => {
    await registry?.close();
    registry = undefined;
    tmp.remove();
  });

  async function start(
    faults: TlsFaults = {},
  ): Promise<{ host: string; identity: TlsIdentity; certs: string }> {
    const identity = tlsIdentity(tmp, faults);
    registry = await startHostileRegistry({ tls: identity });
    registry.put('acme/srv', 'latest', buildOciImage());
    const certs = tmp.join('certs.d');
    mkdirSync(tmp.join('certs.d', registry.host), { recursive: true });
    return { host: registry.host, identity, certs };
  }
  async function read(
    host: string,
    certs: string | undefined,
    overrides: ContextOverrides = {},
  ): Promise<void> {
    using the = new TestContext({ http: false, ...overrides });
    await the.read(
      `docker://${host}/acme/srv`,
      certs === undefined ? {} : { certificateDirectories: [certs] },
    );
  }

  it('are trusted by the authorities that docker would use', async () => {
    const { host, identity, certs } = await start();
    await assert.rejects(read(host, certs), { code: 'network' });
    writeFileSync(tmp.join('certs.d', host, 'ca.crt'), identity.ca);
    await read(host, certs);
  });
  it('are trusted by the authorities of the system', async () => {
    const { host, identity } = await start();
    await read(host, undefined, { env: { SSL_CERT_FILE: identity.caFile } });
  });
  it('are trusted blindly only when that is asked for', async () => {
    const { host } = await start({ expired: true });
    await read(host, undefined, { tls: true });
  });
  for (const [name, faults, reason] of [
    ['expired', { expired: true }, /expired/i],
    ['of another host', { host: 'other.example.com' }, /127\.0\.0\.1|altnames|not valid for/i],
  ] as const) {
    it(`with a certificate ${name} are refused, also where http is allowed, and get no login`, async () => {
      const { host, identity, certs } = await start(faults);
      writeFileSync(tmp.join('certs.d', host, 'ca.crt'), identity.ca);
      const config = { ...EMPTY_CONFIG, dockerAuth: new Map([[host, { user: 'u', password: 'p' }]]) };
      for (const http of [false, true]) {
        await assert.rejects(read(host, certs, { config, http }), (error: Error & { code: string }) => {
          assert.match(error.message, reason);
          assert.equal(error.code, 'network');
          return true;
        });
      }
      assert.deepEqual(registry?.requests, []);
    });
  }
});
