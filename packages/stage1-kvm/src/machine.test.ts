import assert from 'node:assert/strict';

import { chooseAccelerator, type HostFacts } from './accelerator.ts';
import { FrameReader, frame, frames } from './enter-frames.ts';
import { encodePlan } from './enter-plan.ts';
import { guestScript, parseRoutes } from './guest-network.ts';
import { machineSize } from './machine-size.ts';

const limited = (memory?: string, cpu?: string): { isolators: { name: string; value: unknown }[] } => ({
  isolators: [
    ...(memory === undefined ? [] : [{ name: 'resource/memory', value: { limit: memory } }]),
    ...(cpu === undefined ? [] : [{ name: 'resource/cpu', value: { limit: cpu } }]),
  ],
});

describe('size of a machine', () => {
  it('is the least one, with all processors, without limits', () => {
    assert.deepEqual(machineSize([limited()], 4), { processors: 4, megabytes: 512 });
  });
  it('is the sum of the limits and memory for the guest', () => {
    const apps = [limited('1Gi', '800m'), limited('512Mi', '1500m')];
    assert.deepEqual(machineSize(apps, 8), { processors: 3, megabytes: 1536 + 128 });
  });
  it('has no more processors than the host', () => {
    assert.equal(machineSize([limited(undefined, '64')], 2).processors, 2);
  });
});

describe('accelerator', () => {
  const facts =
    (changes: Partial<HostFacts> = {}) =>
    (): HostFacts => ({
      device: true,
      flags: ['fpu', 'vmx'],
      paravirtual: false,
      ...changes,
    });
  it('is kvm where the processor, the device and the kernel have it', () => {
    assert.equal(chooseAccelerator(undefined, facts()), 'kvm');
    assert.equal(chooseAccelerator('', facts({ flags: ['fpu'] })), 'tcg');
    assert.equal(chooseAccelerator(undefined, facts({ device: false })), 'tcg');
    assert.equal(chooseAccelerator(undefined, facts({ paravirtual: true })), 'tcg');
  });
  it('is what is wished', () => {
    assert.equal(chooseAccelerator('tcg', facts()), 'tcg');
    assert.throws(() => chooseAccelerator('xen', facts()), /unknown accelerator "xen"/);
  });
});

describe('network of the guest', () => {
  const ipv4 = [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t011C10AC\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'eth0\t001C10AC\t011C10AC\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0',
    'eth0\t011C10AC\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0',
    'eth1\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0',
  ].join('\n');
  const routes = parseRoutes('eth0', { ipv4, ipv6: '' });
  it('has the routes that plugins made for its device', () => {
    assert.deepEqual(routes, [
      { family: 4, destination: '0.0.0.0/0', gateway: '172.16.28.1' },
      { family: 4, destination: '172.16.28.0/24', gateway: '172.16.28.1' },
      { family: 4, destination: '172.16.28.1/32' },
    ]);
  });
  it('is made with gateways last', () => {
    const device = {
      name: 'eth0',
      mac: '0a:00:00:00:00:01',
      mtu: 1500,
      addresses: ['172.16.28.2/24'],
      routes,
    };
    assert.deepEqual(guestScript([device]).trim().split('\n'), [
      '$b ip link set eth0 mtu 1500 up',
      '$b ip -4 addr add 172.16.28.2/24 dev eth0',
      '$b ip -4 route flush dev eth0',
      '$b ip -4 route replace 172.16.28.1/32 dev eth0',
      '$b ip -4 route replace 0.0.0.0/0 via 172.16.28.1 dev eth0',
      '$b ip -4 route replace 172.16.28.0/24 via 172.16.28.1 dev eth0',
    ]);
  });
});

describe('plan of a command that enters', () => {
  const plan = {
    app: 'web',
    executable: '/bin/sh',
    argv: ['sh', '-c', 'true'],
    environment: [{ name: 'A', value: 'b=c' }],
    noNewPrivileges: true,
    filter: Buffer.alloc(16, 7),
    terminal: { rows: 50, columns: 200 },
  };
  it('is the struct that the agent reads, the filter and texts', () => {
    const bytes = encodePlan(plan);
    const words = [0, 4, 8, 12].map((offset) => bytes.readUInt32LE(offset));
    assert.deepEqual(words, [1, 2, 3, 1]);
    assert.deepEqual([bytes.readUInt16LE(16), bytes.readUInt16LE(18)], [50, 200]);
    assert.deepEqual(bytes.subarray(24, 40), plan.filter);
    assert.equal(bytes.subarray(40).toString(), 'web\0/bin/sh\0sh\0-c\0true\0A=b=c\0');
  });
  it('tells a terminal of unknown size from none', () => {
    const size = (terminal: typeof plan.terminal | undefined): number =>
      encodePlan({ ...plan, terminal }).readUInt32LE(16);
    assert.equal(size(undefined), 0);
    assert.notEqual(size({ rows: 0, columns: 0 }), 0);
  });
});

describe('frames', () => {
  const nonce = Buffer.from('0123456789abcdef');
  it('are cut at 4096 bytes', () => {
    const bytes = frames('I', Buffer.alloc(5000, 1));
    assert.equal(bytes.length, 5006);
    assert.deepEqual([bytes.readUInt16LE(1), bytes.readUInt16LE(4096 + 4)], [4096, 904]);
  });
  it('are read however they are torn, and those of the caller before are passed over', () => {
    const all = Buffer.concat([
      Buffer.from('rest of another'),
      nonce.subarray(0, 5),
      nonce,
      frame('O', Buffer.from('one')),
      frame('E'),
      frame('X', Buffer.of(7)),
    ]);
    for (const step of [1, 2, 3, 7, all.length]) {
      const reader = new FrameReader(nonce);
      const found: string[] = [];
      assert.equal(reader.begun, false);
      for (let at = 0; at < all.length; at += step) {
        for (const { letter, bytes } of reader.read(all.subarray(at, at + step)))
          found.push(letter + bytes.toString('latin1'));
      }
      assert.deepEqual(found, ['Oone', 'E', 'X\x07'], `${step} bytes at once`);
      assert.equal(reader.begun, true);
    }
  });
});
