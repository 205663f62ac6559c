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

describe('socket units', () => {
  it('listen at the ports of the host, else at those of the manifest, with a warning', () => {
    const told: string[] = [];
    const loaded = app([port('http', 'tcp', 80), port('dns', 'udp', 53), port('other', 'tcp', 1, false)]);
    assert.ok(hasSockets(loaded));
    const unit = socketUnit(loaded, { ports: [{ name: 'http', hostPort: 8080 }] as never }, (line) =>
      told.push(line),
    );
    assert.equal(
      serializeOptions(unit),
      `[Unit]
Description=Application=web Image=example.com/web socket-activated ports
DefaultDependencies=false

[Socket]
BindIPv6Only=both
Service=web.service
ListenStream=8080
ListenDatagram=53
`,
    );
    assert.deepEqual(told, [
      'warning: no --port option for socket-activated port "dns", assuming port 53 as specified in the manifest',
    ]);
  });
  it('are none without such ports, and know two protocols', () => {
    assert.ok(!hasSockets(app([port('http', 'tcp', 80, false)])));
    assert.throws(
      () => socketUnit(app([port('x', 'sctp', 1)]), { ports: [] }, () => {}),
      /unrecognized protocol: sctp/,
    );
  });
});
