// Ports, the --port flag and the pairing of both (contract stage0 3.3, 3.4, 8.3, 11.8).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { decodeOrThrow } from './codec.ts';
import { SpecError } from './errors.ts';
import { mapPorts } from './port-mapping.ts';
import { ExposedPort, parsePortFlag, parseSandboxPortFlag, Port } from './port.ts';

const read = (port: object): Port => decodeOrThrow(Port, { name: 'http', protocol: 'tcp', ...port }, '');

describe('Port', () => {
  it('fills in count and socketActivated', () => {
    const full = { name: 'http', protocol: 'tcp', port: 80, count: 1, socketActivated: false };
    assert.deepEqual(read({ port: 80 }), full);
    assert.deepEqual(read({ port: 80, count: 0 }), full);
  });
  it('stays inside the range', () => {
    read({ port: 65535 });
    for (const port of [0, 65536, -1, null]) {
      assert.throws(() => read({ port }), /port must be in 1-65535 range/);
    }
    assert.throws(() => read({ port: 65535, count: 2 }), /end of port range must be in 1-65535 range/);
    for (const port of ['80', 80.5]) assert.throws(() => read({ port }), { code: 'bad-manifest' });
  });
});

describe('parsePortFlag', () => {
  it('reads name, address and port', () => {
    assert.deepEqual(parsePortFlag('http:80'), { name: 'http', hostPort: 80 });
    assert.deepEqual(parsePortFlag('http:10.0.0.1:80'), { name: 'http', hostPort: 80, hostIP: '10.0.0.1' });
    assert.deepEqual(parsePortFlag('http:::1:80'), { name: 'http', hostPort: 80, hostIP: '::1' });
    assert.deepEqual(parsePortFlag('http:0'), { name: 'http', hostPort: 0 });
  });
  it('refuses with the reasons of the contract', () => {
    const reasons = {
      foo: '"foo" is not in name:[ip:]port format',
      'f$o:1': '"f$o" is not a valid port name',
      'foo:x': '"x" is not a valid port number',
      'foo:': '"" is not a valid port number',
      'foo:99999': '"99999" is not a valid port number',
      'foo:1.2.3:80': '"1.2.3" is not a valid IP',
    };
    for (const [value, message] of Object.entries(reasons)) {
      assert.throws(() => parsePortFlag(value), { code: 'bad-flag', message });
    }
  });
  it('never fails in another way, and gives what the manifest can hold', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z:0-9.]*$/), (value) => {
        try {
          const port = parsePortFlag(value);
          assert.deepEqual(decodeOrThrow(ExposedPort, ExposedPort.encode(port), ''), port);
        } catch (error) {
          assert.ok(error instanceof SpecError && error.code === 'bad-flag');
        }
      }),
    );
  });
});

describe('mapPorts', () => {
  const http = read({ port: 8080 });
  const sql = read({ name: 'sql', port: 5432 });
  const dns = read({ name: 'dns', port: 53, protocol: 'udp' });
  const map = (flags: string[], apps = [[http], [sql, dns], undefined]): string[] =>
    mapPorts(flags.map(parsePortFlag), apps).map(({ exposed, port }) => `${exposed.hostPort}>${port.port}`);

  it('pairs ports by name', () => {
    assert.deepEqual(map(['http:80', 'sql:81']), ['80>8080', '81>5432']);
    assert.deepEqual(map(['http:10.0.0.1:80', 'sql:10.0.0.2:80', 'dns:80']), ['80>8080', '80>5432', '80>53']);
  });
  it('refuses one host port twice, also for the same app port', () => {
    const message = 'port tcp-0.0.0.0:80 already mapped to pod port 8080';
    for (const second of ['sql:80', 'http:80']) {
      assert.throws(() => map(['http:80', second]), { message });
    }
    assert.throws(() => map(['http:10.0.0.1:80', 'sql:80']), {
      message: 'port tcp-10.0.0.1:80 already mapped to pod port 8080',
    });
    assert.throws(() => map(['http::::80', 'sql:10.0.0.1:80']), /already mapped/);
  });
  it('refuses names of no app or of several', () => {
    assert.throws(() => map(['nope:1']), { message: 'port name "nope" could not be found in any apps' });
    assert.throws(() => map(['http:1'], [[http], [http]]), {
      message: 'port name "http" defined multiple apps',
    });
  });
  it('uses the pod port of an exposed port that has one', () => {
    const [mapping] = mapPorts([{ name: 'x', hostPort: 1, podPort: sql }], []);
    assert.equal(mapping?.port, sql);
  });
});

describe('parseSandboxPortFlag', () => {
  const podPort = { name: 'dns', protocol: 'udp', port: 53, count: 1, socketActivated: false };
  it('says of a port what no app does', () => {
    assert.deepEqual(parseSandboxPortFlag('dns:udp:53:127.0.0.1:5353'), {
      name: 'dns',
      hostPort: 5353,
      hostIP: '127.0.0.1',
      podPort,
    });
    assert.deepEqual(parseSandboxPortFlag('dns:udp:53::5353'), { name: 'dns', hostPort: 5353, podPort });
    assert.equal(parseSandboxPortFlag('dns:udp:53:fd00::1:5353').hostIP, 'fd00::1');
  });
  it('refuses all else', () => {
    for (const text of [
      '',
      'dns',
      'dns:udp:53:5353',
      'dns:sctp:53::1',
      'dns:udp:0::1',
      'dns:udp:53:x:1',
      'dns:udp:53::65536',
    ]) {
      assert.throws(() => parseSandboxPortFlag(text), SpecError, text);
    }
  });
});
