import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';

import { mdsRegistrationFile, printMdsRegistration } from '@rkt/pod-layout/metadata-service';
import { podDir, runtimeConfigFile } from '@rkt/pod-layout/pod-paths';

import { parseRunArguments } from './arguments.ts';
import { metadataAccess, runningMetadataUrl } from './metadata.ts';
import { TestPod } from './testing/test-pod.ts';
import { writeRuntimeConfig } from './write-runtime-config.ts';

describe('metadata service', () => {
  it('is known to pods that are registered', () => {
    using pod = new TestPod();
    const dir = podDir(pod.dir);
    assert.equal(metadataAccess(dir, {}, '127.0.0.1'), undefined);
    // From a stage0 that knows no file.
    assert.deepEqual(metadataAccess(dir, { mdsToken: 'abc' }, '172.16.28.1'), {
      token: 'abc',
      url: 'http://172.16.28.1:18112/abc',
    });
    writeFileSync(mdsRegistrationFile(dir), printMdsRegistration({ token: 'def', port: 99 }));
    assert.deepEqual(metadataAccess(dir, {}, '127.0.0.1'), { token: 'def', url: 'http://127.0.0.1:99/def' });
    // In a network that leads nowhere, only an address that was chosen is one.
    assert.equal(metadataAccess(dir, {}, undefined), undefined);
    const chosen = { token: 'def', port: 99, address: '10.0.0.1' };
    writeFileSync(mdsRegistrationFile(dir), printMdsRegistration(chosen));
    assert.equal(metadataAccess(dir, {}, undefined)?.url, 'http://10.0.0.1:99/def');
    writeFileSync(mdsRegistrationFile(dir), '{');
    assert.throws(() => metadataAccess(dir, {}, '127.0.0.1'), { code: 'bad-file' });
  });

  it('is known to commands that enter them', () => {
    using pod = new TestPod();
    const dir = podDir(pod.dir);
    assert.equal(runningMetadataUrl(dir), undefined);
    const options = parseRunArguments(['--net=host', '0fceae1c-1234-4abc-8def-0123456789ab']);
    writeRuntimeConfig(dir, options);
    assert.equal(runningMetadataUrl(dir), undefined);
    const access = { token: 'def', url: 'http://127.0.0.1:99/def' };
    writeRuntimeConfig(dir, options, access);
    assert.equal(runningMetadataUrl(dir), access.url);
    const file = runtimeConfigFile(dir);
    assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { MDSToken: string }).MDSToken, 'def');
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });
});
