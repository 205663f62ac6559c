import assert from 'node:assert/strict';
import { pluginMessage, pluginPath, pluginVariables } from './plugin.ts';
import { delegateOf, parseSubnetFile } from './flannel.ts';

describe('plugins', () => {
  it("are looked for among people's own, the host's and stage1's, the last relative to the pod", () => {
    assert.deepEqual(pluginPath('/etc/rkt'), [
      '/etc/rkt/net.d',
      '/usr/lib/rkt/plugins/net',
      'stage1/rootfs/usr/lib/rkt/plugins/net',
    ]);
  });

  it('get the variables of the convention', () => {
    const call = {
      command: 'ADD',
      cniVersion: '0.1.0',
      netns: '/n',
      args: 'IP=1.2.3.4',
      ifName: 'eth0',
    } as const;
    assert.deepEqual(pluginVariables(call, { uuid: 'u', pluginPath: ['/a', 'b'] }), {
      CNI_VERSION: '0.1.0',
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'u',
      CNI_NETNS: '/n',
      CNI_ARGS: 'IP=1.2.3.4',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/a:b',
    });
  });

  it('say why they fail', () => {
    assert.equal(
      pluginMessage('{"code":11,"msg":"no address","details":"none left"}'),
      'no address; none left',
    );
    assert.equal(pluginMessage('{"code":11,"msg":"no address"}'), 'no address');
    assert.equal(
      pluginMessage('panic: x'),
      'netplugin failed but error parsing its diagnostic message "panic: x"',
    );
  });
});

describe('flannel', () => {
  const FILE =
    'FLANNEL_NETWORK=10.1.0.0/16\nFLANNEL_SUBNET=10.1.17.1/24\nFLANNEL_MTU=1472\nFLANNEL_IPMASQ=true\n';

  it('writes the configuration of its delegate', () => {
    assert.deepEqual(delegateOf({}, parseSubnetFile(FILE, 'f'), 'net'), {
      name: 'net',
      type: 'bridge',
      ipMasq: false,
      mtu: 1472,
      isGateway: true,
      ipam: { type: 'host-local', subnet: '10.1.17.0/24', routes: [{ dst: '10.1.0.0/16' }] },
    });
  });

  it('leaves what the configuration says, in any case', () => {
    const given = { Type: 'ptp', MTU: 1400, ipMasq: true };
    const delegate = delegateOf(given, parseSubnetFile(FILE, 'f'), 'net');
    assert.equal(delegate['type'], 'ptp');
    assert.equal(delegate['mtu'], undefined);
    assert.equal(delegate['MTU'], 1400);
    assert.equal(delegate['ipMasq'], true);
    assert.equal(delegate['isGateway'], undefined);
  });

  it('needs all of the file', () => {
    assert.throws(() => parseSubnetFile('FLANNEL_NETWORK=x\n', '/f'), { message: '/f has no FLANNEL_MTU' });
  });
});
