// What a pod keeps of its registration with the metadata service, and the URL made of it.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  metadataUrl,
  metadataUrlAddress,
  parseMdsRegistration,
  printMdsRegistration,
} from './metadata-service.ts';
import { metadataServiceUrl } from './runtime-config.ts';

describe('registration with the metadata service', () => {
  const registration = fc.record(
    {
      token: fc.stringMatching(/^[0-9a-f]{32}$/),
      port: fc.integer({ min: 1, max: 65535 }),
      address: fc.oneof(fc.ipV4(), fc.ipV6()),
    },
    { requiredKeys: ['token', 'port'], noNullPrototype: true },
  );

  it('is read as it was written', () => {
    fc.assert(
      fc.property(registration, (value) => {
        assert.deepEqual(parseMdsRegistration(printMdsRegistration(value)), value);
      }),
    );
  });
  it('is refused when it is none', () => {
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '{}',
      '{"token":"x"}',
      '{"token":"","port":1}',
      '{"token":"x","port":0}',
      '{"token":"x","port":"1"}',
      '{"token":"x","port":65536}',
      '{"token":"x","port":1,"address":"example.com/"}',
    ]) {
      assert.throws(() => parseMdsRegistration(text), { code: 'bad-file' }, text);
    }
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        try {
          assert.equal(typeof parseMdsRegistration(text).token, 'string');
        } catch (error) {
          assert.equal((error as { code: string }).code, 'bad-file');
        }
      }),
    );
  });
  it('becomes a URL at the address the pod sees, or at the one that was chosen', () => {
    assert.equal(metadataUrl({ token: 't', port: 18112 }, '172.16.28.1'), 'http://172.16.28.1:18112/t');
    assert.equal(
      metadataUrl({ token: 't', port: 1, address: '10.0.0.1' }, '127.0.0.1'),
      'http://10.0.0.1:1/t',
    );
    assert.equal(metadataUrl({ token: 't', port: 1 }, 'fd00::1'), 'http://[fd00::1]:1/t');
    fc.assert(
      fc.property(registration, fc.oneof(fc.ipV4(), fc.ipV6()), (value, host) => {
        const url = metadataUrl(value, host);
        assert.ok(URL.canParse(url));
        assert.equal(metadataUrlAddress(url), value.address ?? host);
      }),
    );
    for (const url of ['', 'http://example.com:1/t', 'https://127.0.0.1:1/t', 'http://127.0.0.1/t', 'x']) {
      assert.equal(metadataUrlAddress(url), undefined);
    }
  });
  it('is found in a runtime-config, whole or not', () => {
    const text = JSON.stringify({ MDSToken: 't', MetadataServiceURL: 'http://127.0.0.1:1/t' });
    assert.equal(metadataServiceUrl(text), 'http://127.0.0.1:1/t');
    for (const other of [
      '',
      'null',
      '{}',
      text.slice(0, -1),
      '{"MetadataServiceURL":""}',
      '{"MetadataServiceURL":1}',
    ]) {
      assert.equal(metadataServiceUrl(other), undefined);
    }
  });
});
