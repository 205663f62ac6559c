// Logins that docker and its relatives have left (docker's config.json, containers-auth.json(5), credential helpers).

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';

import { TempDir } from '@rkt/testkit/tmp';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { credentialFiles, findLogin, type Login } from './credentials.ts';
import { readTlsFiles } from './tls-files.ts';

describe('logins', () => {
  let tmp: TempDir;
  beforeEach(() => {
    tmp = new TempDir('logins');
  });
  afterEach(() => tmp.remove());

  const write = (config: unknown): void =>
    writeFileSync(tmp.join('config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  const find = (host: string, repository = 'acme/srv', dockerAuth = new Map()): Promise<Login | undefined> =>
    findLogin(host, repository, {
      dockerAuth,
      env: { DOCKER_CONFIG: tmp.path, PATH: `${tmp.path}:/usr/bin:/bin`, HELPER_LOG: tmp.join('log') },
    });
  const auth = (text: string): object => ({ auth: Buffer.from(text).toString('base64') });
  const password = (user: string, secret = 'p'): Login => ({ kind: 'password', user, password: secret });

  it('are looked for where the environment says', () => {
    assert.deepEqual(credentialFiles({ HOME: '/root' }), ['/root/.docker/config.json']);
    assert.deepEqual(credentialFiles({ HOME: '/root', DOCKER_CONFIG: '/d' }), ['/d/config.json']);
    assert.deepEqual(credentialFiles({ HOME: '/root', DOCKER_CONFIG: '/d', REGISTRY_AUTH_FILE: '/f' }), [
      '/f',
    ]);
    assert.deepEqual(credentialFiles({}), []);
  });

  it('are none where there is no file, or nothing in it', async () => {
    assert.equal(await find('quay.io'), undefined);
    for (const config of ['', ' \n', '{}', { auths: {} }, { auths: { 'quay.io': {} } }, { auths: null }]) {
      write(config);
      assert.equal(await find('quay.io'), undefined);
    }
  });

  it('are found under every spelling of a host', async () => {
    for (const key of [
      'quay.io',
      'https://quay.io',
      'http://quay.io/',
      'https://quay.io/v1/',
      'https://quay.io/v2',
    ]) {
      write({ auths: { [key]: auth('u:p') } });
      assert.deepEqual(await find('quay.io'), password('u'), key);
    }
    for (const key of [
      'https://index.docker.io/v1/',
      'docker.io',
      'index.docker.io',
      'registry-1.docker.io',
    ]) {
      write({ auths: { [key]: auth('u:p:q\0\0') } });
      assert.deepEqual(await find('registry-1.docker.io'), password('u', 'p:q'), key);
    }
    write({
      auths: { 'quay.io:443': auth('u:p'), 'evil.com/quay.io': auth('u:p'), 'xquay.io': auth('u:p') },
    });
    assert.equal(await find('quay.io'), undefined);
  });

  it('of the nearest name count', async () => {
    write({
      auths: {
        'quay.io': auth('host:p'),
        'quay.io/acme': auth('space:p'),
        'quay.io/acme/srv': auth('repo:p'),
      },
    });
    assert.deepEqual(await find('quay.io'), password('repo'));
    assert.deepEqual(await find('quay.io', 'acme/other'), password('space'));
    assert.deepEqual(await find('quay.io', 'acmeother/x'), password('host'));
  });

  it('have four forms', async () => {
    write({
      auths: { a: { username: 'u', password: 'p' }, b: { identitytoken: 't' }, c: { registrytoken: 't' } },
    });
    assert.deepEqual(await find('a'), password('u'));
    assert.deepEqual(await find('b'), { kind: 'identity-token', token: 't' });
    assert.deepEqual(await find('c'), { kind: 'registry-token', token: 't' });
  });

  it('of rkt itself win, also by other names of the default registry', async () => {
    write({ auths: { 'quay.io': auth('u:p'), 'docker.io': auth('u:p') } });
    const own = { user: 'own', password: 'p' };
    assert.deepEqual(await find('quay.io', 'a', new Map([['quay.io', own]])), password('own'));
    assert.deepEqual(await find('registry-1.docker.io', 'a', new Map([['docker.io', own]])), password('own'));
  });

  it('that cannot be read are an error that shows no secret', async () => {
    for (const config of [
      '{"auths":{"quay.io":{"auth":"c2VjcmV0OnNlY3JldA=="}',
      '[]',
      { auths: [] },
      { auths: { 'quay.io': 'secret' } },
      { auths: { 'quay.io': { auth: 'c2VjcmV0' } } },
      { auths: { 'quay.io': { auth: 1 } } },
    ]) {
      write(config);
      await assert.rejects(find('quay.io'), (error: Error & { code: string }) => {
        assert.equal(error.code, 'credentials', error.message);
        assert.doesNotMatch(error.message, /secret|c2Vj/);
        return true;
      });
    }
  });

  it('of any file are found or refused', async () => {
    await fc.assert(
      fc.asyncProperty(fc.json(), async (text) => {
        write(`{"auths":${text}}`);
        try {
          await find('quay.io');
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'credentials');
        }
      }),
      { numRuns: runs(50) },
    );
  });

  describe('of helpers', () => {
    const helper = (script: string, name = 'test'): void => {
      const file = tmp.join(`docker-credential-${name}`);
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
    };
    const ANSWER =
      'read server; echo "$1 $server" >> "$HELPER_LOG"; echo "{\\"Username\\":\\"$server\\",\\"Secret\\":\\"p\\"}"';

    it('are asked for by the name of the registry', async () => {
      helper(ANSWER);
      write({ credHelpers: { 'quay.io': 'test' }, auths: { 'quay.io': auth('u:p') } });
      assert.deepEqual(await find('quay.io'), password('quay.io'));
      assert.equal(await find('other.io'), undefined);
    });
    it('of the default store too, and files count where it has nothing', async () => {
      helper(
        'read server; [ "$server" = quay.io ] || { echo "credentials not found in native keychain"; exit 1; }; echo \'{"Username":"<token>","Secret":"t"}\'',
      );
      write({ credsStore: 'test', auths: { 'other.io': auth('u:p') } });
      assert.deepEqual(await find('quay.io'), { kind: 'identity-token', token: 't' });
      assert.deepEqual(await find('other.io'), password('u'));
    });
    it('for the default registry are kept under its old name', async () => {
      helper(ANSWER);
      write({ credsStore: 'test' });
      assert.deepEqual(await find('registry-1.docker.io'), password('https://index.docker.io/v1/'));
    });
    const faults: Record<string, readonly [script: string, reason: RegExp]> = {
      'that fail': ['echo broken >&1; exit 3', /^credential helper "test" failed for quay\.io: broken$/],
      'that say nothing': ['exit 0', /is not JSON/],
      'that print a secret': ['echo secret', /^(?!.*secret).*is not JSON/],
      'without a login': ['echo "{}"', /without a login/],
      'that never stop talking': [
        'exec yes secret 2>/dev/null',
        /^credential helper "test" did not come to an end for quay\.io$/,
      ],
    };
    for (const [name, [script, reason]] of Object.entries(faults)) {
      it(`${name} are errors`, async () => {
        helper(script);
        write({ credHelpers: { 'quay.io': 'test' } });
        await assert.rejects(find('quay.io'), { code: 'credentials', message: reason });
      });
    }
    it('are programs of PATH, nothing else', async () => {
      write({ credHelpers: { 'quay.io': '../../tmp/x' } });
      await assert.rejects(find('quay.io'), /has a bad name/);
      write({ credHelpers: { 'quay.io': 'missing' } });
      await assert.rejects(find('quay.io'), /cannot be run: spawn docker-credential-missing ENOENT/);
    });
  });
});

describe('certificates of registries', () => {
  it('are found by host and port', () => {
    using tmp = new TempDir('certs');
    mkdirSync(tmp.join('quay.io:5000'));
    writeFileSync(tmp.join('quay.io:5000', 'a.crt'), 'A');
    writeFileSync(tmp.join('quay.io:5000', 'b.crt'), 'B');
    writeFileSync(tmp.join('quay.io:5000', 'README'), 'x');
    const directories = [tmp.join('missing'), tmp.path];
    assert.deepEqual(readTlsFiles('quay.io:5000', directories), { ca: ['A', 'B'] });
    assert.equal(readTlsFiles('quay.io', directories), undefined);
    writeFileSync(tmp.join('quay.io:5000', 'client.cert'), 'C');
    assert.throws(
      () => readTlsFiles('quay.io:5000', directories),
      /missing key client\.key for client certificate/,
    );
    writeFileSync(tmp.join('quay.io:5000', 'client.key'), 'K');
    assert.deepEqual(readTlsFiles('quay.io:5000', directories), {
      ca: ['A', 'B'],
      client: { cert: 'C', key: 'K' },
    });
  });
});
