import assert from 'node:assert/strict';

import { serializeOptions } from 'systemd-unit-parser/serialize';

import { hasSockets, socketUnit } from './socket-unit.ts';

const app = (ports: readonly object[]): Parameters<typeof socketUnit>[0] =>
  ({ name: 'web', image: { name: 'example.com/web' }, app: { ports } }) as never;
const port = (name: string, protocol: string, number: number, socketActivated = true): object => ({
  name,
  protocol,
  port: number,
  count: 1,
  socketActivated,
});

const NONE = { given: [], hostNetwork: false };

describe('socket units', () => {
  it('listen where the ports of the host lead to, else at those of the manifest, with a warning', () => {
    const told: string[] = [];
    const loaded = app([port('http', 'tcp', 80), port('dns', 'udp', 53), port('other', 'tcp', 1, false)]);
    assert.ok(hasSockets(loaded));
    const ports = [{ name: 'http', hostPort: 8080 }] as never;
    const unit = socketUnit(loaded, { ports }, NONE, (line) => told.push(line));
    assert.equal(
      serializeOptions(unit),
      `[Unit]
Description=Application=web Image=example.com/web socket-activated ports
DefaultDependencies=false

[Socket]
BindIPv6Only=both
Service=web.service
ListenStream=80
ListenDatagram=53
`,
    );
    const onHost = socketUnit(loaded, { ports }, { ...NONE, hostNetwork: true }, () => {});
    assert.match(serializeOptions(onHost), /\nListenStream=8080\nListenDatagram=53\n$/);
    assert.deepEqual(told, [
      'warning: no --port option for socket-activated port "dns", assuming port 53 as specified in the manifest',
    ]);
  });
  it('have the whole addresses of the sockets that were given', () => {
    const loaded = app([port('http', 'tcp', 80), port('dns', 'udp', 53)]);
    const given = [
      { protocol: 'tcp', address: '127.0.0.1', port: 80 },
      { protocol: 'tcp', address: '[::1]', port: 80 },
      { protocol: 'tcp', address: '10.0.0.1', port: 81 },
      { protocol: 'udp', address: undefined, port: 53 },
    ] as const;
    const unit = socketUnit(loaded, { ports: [] }, { ...NONE, given }, () => {});
    assert.match(
      serializeOptions(unit),
      /\nListenStream=127\.0\.0\.1:80\nListenStream=\[::1\]:80\nListenDatagram=53\n$/,
    );
    const mapped = [{ name: 'http', hostPort: 81 }] as never;
    const other = socketUnit(loaded, { ports: mapped }, { ...NONE, given }, () => {});
    assert.match(serializeOptions(other), /\nListenStream=10\.0\.0\.1:81\nListenDatagram=53\n$/);
  });
  it('are none without such ports, and know two protocols', () => {
    assert.ok(!hasSockets(app([port('http', 'tcp', 80, false)])));
    assert.throws(
      () => socketUnit(app([port('x', 'sctp', 1)]), { ports: [] }, NONE, () => {}),
      /unrecognized protocol: sctp/,
    );
  });
});
