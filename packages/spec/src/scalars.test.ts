// The small types of contract stage0 3.1: kinds, versions, dates, URLs, UUIDs, environment names, IP
// addresses.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { parseAcKind } from './ac-kind.ts';
import { parseDate } from './date.ts';
import { parseEnvironmentName } from './environment.ts';
import { isIpAddress } from './ip-address.ts';
import { parseSemVer } from './semver.ts';
import { parseWebUrl } from './url.ts';
import { newUuid, parseUuid } from './uuid.ts';

describe('parseAcKind', () => {
  it('knows two kinds', () => {
    assert.equal(parseAcKind('PodManifest'), 'PodManifest');
    assert.throws(() => parseAcKind(''), { message: 'ACKind must be set' });
    assert.throws(() => parseAcKind('imagemanifest'), { message: 'bad ACKind: imagemanifest' });
  });
});

describe('parseSemVer', () => {
  it('takes strict versions', () => {
    for (const version of ['0.8.11', '1.30.0+git0a1b', '2.0.0-rc.1', '0.0.0-a']) {
      assert.equal(parseSemVer(version), version);
    }
  });
  it('refuses loose ones and zero', () => {
    for (const version of ['', '1', '1.2', 'v1.2.3', '1.2.3.4', '01.2.3', '1.2.3-', '1.2.3\n']) {
      assert.throws(() => parseSemVer(version), { message: 'SemVer is bad' });
    }
    assert.throws(() => parseSemVer('0.0.0'), { message: 'SemVer cannot be zero' });
  });
});

describe('parseDate', () => {
  it('takes RFC 3339', () => {
    assert.equal(parseDate('2017-01-02T03:04:05Z').getTime(), Date.UTC(2017, 0, 2, 3, 4, 5));
    assert.equal(parseDate('2016-02-29T23:59:59.123456789+01:00').getUTCHours(), 22);
  });
  it('refuses other forms and days that do not exist', () => {
    for (const date of [
      '',
      '2017-01-02',
      '2017-01-02 03:04:05Z',
      '2017-01-02T03:04:05',
      '2017-02-29T00:00:00Z',
      '2017-13-01T00:00:00Z',
      '2017-00-01T00:00:00Z',
      '2017-01-02T24:00:00Z',
    ]) {
      assert.throws(() => parseDate(date), /bad Date: "/);
    }
  });
});

describe('parseWebUrl', () => {
  it('takes http and https only', () => {
    assert.equal(parseWebUrl('HTTPS://example.com/a'), 'HTTPS://example.com/a');
    for (const url of ['ftp://example.com', 'example.com', '', 'httpx://a']) {
      assert.throws(() => parseWebUrl(url), { message: 'bad URL scheme, must be http/https' });
    }
    assert.throws(() => parseWebUrl('http://[::1'), { message: 'bad URL: "http://[::1"' });
  });
});

describe('parseUuid', () => {
  const uuid = '0f746094-3438-42bc-ab37-3cf85f132e60';
  it('takes 32 hex digits in any case with dashes anywhere', () => {
    for (const text of [uuid, uuid.toUpperCase(), uuid.replaceAll('-', ''), `-${uuid}-`]) {
      assert.equal(parseUuid(text), uuid);
    }
  });
  it('refuses the rest', () => {
    assert.throws(() => parseUuid(''), { message: 'UUID cannot be empty' });
    assert.throws(() => parseUuid('0f74'), { message: 'bad UUID length != 32' });
    assert.throws(() => parseUuid(uuid.replace('0', 'x')), /not hexadecimal/);
  });
  it('reads the fresh ones', () => {
    const fresh = newUuid();
    assert.equal(parseUuid(fresh), fresh);
    assert.equal(newUuid(new Uint8Array(16)), '00000000-0000-4000-8000-000000000000');
  });
});

describe('parseEnvironmentName', () => {
  it('follows the grammar of the standard', () => {
    for (const name of ['A', '_', 'a.b-c_1']) assert.equal(parseEnvironmentName(name), name);
    assert.throws(() => parseEnvironmentName(''), { message: 'environment variable name must not be empty' });
    for (const name of ['1A', 'A B', 'A=B', 'Ä', 'A\n']) {
      assert.throws(
        () => parseEnvironmentName(name),
        /environment variable does not have valid identifier "/,
      );
    }
  });
});

describe('isIpAddress', () => {
  it('knows IPv4 and IPv6', () => {
    for (const ip of ['0.0.0.0', '255.255.255.255', '::', '::1', 'fe80::1', '::ffff:10.0.0.1']) {
      assert.equal(isIpAddress(ip), true, ip);
    }
    for (const ip of [
      '',
      '1.2.3',
      '1.2.3.4.',
      '1.2.3.256',
      '01.2.3.4',
      ':',
      '1::2::3',
      '[::1]',
      'localhost',
      '12',
    ]) {
      assert.equal(isIpAddress(ip), false, ip);
    }
    fc.assert(fc.property(fc.ipV4(), isIpAddress));
    fc.assert(fc.property(fc.ipV6(), isIpAddress));
  });
});
