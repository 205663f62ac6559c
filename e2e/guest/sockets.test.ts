// Pods behind sockets of a machine with systemd (contract stage1 2.8): a socket unit whose descriptor reaches the app,
// and systemd-socket-proxyd in front of a pod with a network of its own.

import assert from 'node:assert/strict';

import { inspectFiles } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { answerOf } from '../lib/connections.ts';
import { RKT_BIN } from '../lib/environment.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';
import { ANSWER } from '../lib/service-programs.ts';
import { suite } from '../lib/suite.ts';
import { tinyProgram } from '../lib/tiny-program.ts';
import { ask, execLine, Units } from '../lib/units.ts';

const PORT = 41_080;
const PROXYD = '/lib/systemd/systemd-socket-proxyd';
/** In the range of the built-in network `default`. */
const ADDRESS = '172.16.28.77';

suite('sockets of the machine', ['root', 'busybox', 'systemd-host', 'program:tcc'], (the) => {
  const units = new Units();

  forEachFlavour(['isolated'], (flavour) => {
    // Before the suite collects what is left.
    afterEach(() => units.remove());
    const rkt = (): string[] => [RKT_BIN, ...the.rkt.directoryFlags, INSECURE, 'run', ...flavour.stage1];
    const service = (words: readonly string[], lines: readonly string[] = []): string =>
      [
        '[Service]',
        `Environment=TMPDIR=${the.rkt.scratch}`,
        ...lines,
        `ExecStart=${execLine(words)}`,
        '',
      ].join('\n');

    it('start a pod at the first connection, which its app answers', async () => {
      const manifest = imageManifest({
        name: 'example.com/answer',
        exec: ['/answer'],
        app: { ports: [{ name: 'www', protocol: 'tcp', port: PORT, socketActivated: true }] },
      });
      const files = [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'answer', ANSWER)];
      const key = await the.rkt.fetch(writeImage(the.rkt, { manifest, files }));
      await units.write('rkt-e2e-www.socket', `[Socket]\nListenStream=127.0.0.1:${PORT}\n`);
      await units.write(
        'rkt-e2e-www.service',
        service([...rkt(), '--net=none', key], ['KillMode=mixed', 'Delegate=yes']),
      );
      await ask('systemctl', 'start', 'rkt-e2e-www.socket');
      assert.deepEqual(the.rkt.podsIn('run'), []);
      assert.equal(await answerOf(PORT, '127.0.0.1'), 'hello from the pod\n');
      await units.state('rkt-e2e-www.service', 'inactive');
      assert.equal(await units.property('rkt-e2e-www.service', 'Result'), 'success');
      // And once more: the socket is still the machine's.
      assert.equal(await answerOf(PORT, '127.0.0.1'), 'hello from the pod\n');
      assert.equal(the.rkt.podsIn('run').length, 2);
    });

    it('hand connections to a pod through systemd-socket-proxyd', async () => {
      const image = inspectImage(the.rkt);
      const script = 'while :; do echo hello through the proxy | nc -l -p 8080; done';
      const pod = [...rkt(), `--net=default:IP=${ADDRESS}`, image, '--exec=/bin/sh', '--', '-c', script];
      await units.write(
        'rkt-e2e-pod.service',
        service(pod, ['Type=notify', 'KillMode=mixed', 'Delegate=yes']),
      );
      await units.write('rkt-e2e-proxy.socket', `[Socket]\nListenStream=127.0.0.1:${PORT}\n`);
      const requires = '[Unit]\nRequires=rkt-e2e-pod.service\nAfter=rkt-e2e-pod.service\n';
      await units.write('rkt-e2e-proxy.service', `${requires}${service([PROXYD, `${ADDRESS}:8080`])}`);
      await ask('systemctl', 'start', 'rkt-e2e-proxy.socket');
      // The first connection starts the pod; its app may listen a moment after it is ready.
      await eventually(
        'an answer',
        async () => (await answerOf(PORT, '127.0.0.1').catch(() => '')) === 'hello through the proxy\n',
        30_000,
      );
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.match((await the.rkt.ok(['list', '--full'])).stdout, new RegExp(`${uuid}.*${ADDRESS}`, 's'));
    });
  });
});
