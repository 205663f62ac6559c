import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';

import { type Authority, makeAuthority } from '@rkt/testkit/authority';
import { TempDir } from '@rkt/testkit/tmp';

import { systemCertificates, systemTrust } from './system-certificates.ts';

describe('system certificates', () => {
  let tmp: TempDir;
  let authority: Authority;
  before(() => {
    tmp = new TempDir('certificates');
    authority = makeAuthority();
    mkdirSync(tmp.join('empty'));
    mkdirSync(tmp.join('dir'));
    writeFileSync(tmp.join('dir/a.pem'), `a comment\n${authority.certificate}`);
    writeFileSync(tmp.join('dir/README'), 'no certificate');
    mkdirSync(tmp.join('dir/sub'));
    symlinkSync('a.pem', tmp.join('dir/0a0a0a0a.0'));
    symlinkSync('gone', tmp.join('dir/dangling'));
    writeFileSync(tmp.join('broken.pem'), `-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`);
  });
  after(() => {
    tmp.remove();
    authority[Symbol.dispose]();
  });

  it('come from the file and the directories of the variables, each once', () => {
    const only = [authority.certificate.trim()];
    const dir = tmp.join('empty');
    assert.deepEqual(systemCertificates({ SSL_CERT_FILE: authority.file, SSL_CERT_DIR: dir }), only);
    assert.deepEqual(
      systemCertificates({ SSL_CERT_FILE: authority.file, SSL_CERT_DIR: `${dir}:${tmp.join('dir')}` }),
      only,
    );
    assert.deepEqual(systemCertificates({ SSL_CERT_FILE: '/none', SSL_CERT_DIR: tmp.join('dir') }), only);
    assert.deepEqual(systemCertificates({ SSL_CERT_FILE: '/none', SSL_CERT_DIR: dir }), []);
  });
  it('are those of the distribution otherwise', function () {
    const found = systemCertificates({});
    if (found.length === 0) this.skip();
    assert.ok(found.length > 50, String(found.length));
    assert.ok(systemCertificates({ SSL_CERT_FILE: authority.file }).length > 50);
  });
  it('are usable though one of them is broken', () => {
    const env = { SSL_CERT_FILE: tmp.join('broken.pem'), SSL_CERT_DIR: tmp.join('dir') };
    assert.equal(systemCertificates(env).length, 2);
    assert.ok(systemTrust(env).context !== undefined);
    assert.equal(systemTrust(env), systemTrust({ ...env }));
    assert.notEqual(systemTrust(env), systemTrust({ SSL_CERT_FILE: authority.file, SSL_CERT_DIR: '/none' }));
  });
});
