// Apps as services: sockets that the host made, readiness, the time zone, event handlers' limits (contract stage1 2.2,
// 2.8, 2.30).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { inspectFiles } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { answerOf, datagramFrom } from '../lib/connections.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { RKT_BIN } from '../lib/environment.ts';
import { writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus } from '../lib/rkt.ts';
import { ANSWER, ANSWER_DATAGRAM, NOTIFY } from '../lib/service-programs.ts';
import { suite } from '../lib/suite.ts';
import { tinyProgram } from '../lib/tiny-program.ts';

suite('services', ['root', 'busybox', 'program:tcc'], (the) => {
  forEachFlavour([], (flavour) => {
    it('get sockets that the host has made, by the port the host gave them', async function () {
      requires(this, 'program:systemd-socket-activate');
      const port = await freePort();
      const image = writeImage(the.rkt, {
        manifest: imageManifest({
          name: 'example.com/answer',
          exec: ['/answer'],
          app: { ports: [{ name: 'www', protocol: 'tcp', port, socketActivated: true }] },
        }),
        files: [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'answer', ANSWER)],
      });
      // Fetched before: the connection waits meanwhile.
      const key = await the.rkt.fetch(image);
      const pod = the.rkt.startBare(
        [`--listen=${port}`, RKT_BIN, ...the.rkt.directoryFlags, ...flavour.run(key)],
        {},
        'systemd-socket-activate',
      );
      await pod.waitFor(/Listening on/);
      const answer = answerOf(port, '::1').catch(String);
      const result = expectStatus(await pod.ended, 0);
      assert.equal(await answer, 'hello from the pod\n', result.output);
      const warned = new RegExp(`no --port option for socket-activated port "www", assuming port ${port}`);
      // Where nobody sorts sockets, there is nothing to assume.
      assert.equal(warned.test(result.output), flavour.can.isolated, result.output);
      // The pod had its lock all the time, and has none now.
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.equal((await the.rkt.status(uuid))['state'], 'exited');
    });

    it('get datagram sockets, too', async function () {
      requires(this, 'program:systemd-socket-activate');
      const port = await freePort();
      const key = await the.rkt.fetch(
        writeImage(the.rkt, {
          manifest: imageManifest({
            name: 'example.com/datagrams',
            exec: ['/answer'],
            app: { ports: [{ name: 'dns', protocol: 'udp', port, socketActivated: true }] },
          }),
          files: [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'answer', ANSWER_DATAGRAM)],
        }),
      );
      const pod = the.rkt.startBare(
        ['--datagram', `--listen=127.0.0.1:${port}`, RKT_BIN, ...the.rkt.directoryFlags, ...flavour.run(key)],
        {},
        'systemd-socket-activate',
      );
      await pod.waitFor(/Listening on/);
      const answer = datagramFrom(port, '127.0.0.1');
      const result = expectStatus(await pod.ended, 0);
      assert.equal(await Promise.race([answer, sleep(1000)]), 'hello from the pod\n', result.output);
    });
  });

  forEachFlavour(['isolated'], (flavour) => {
    it('hold the lock of their pod while they have sockets', async function () {
      requires(this, 'program:systemd-socket-activate');
      const port = await freePort();
      const image = writeImage(the.rkt, {
        manifest: imageManifest({
          name: 'example.com/holder',
          exec: ['/bin/sleep', '100'],
          app: { ports: [{ name: 'www', protocol: 'tcp', port: 80, socketActivated: true }] },
        }),
        files: inspectFiles(),
      });
      const pod = the.rkt.startBare(
        [`--listen=${port}`, RKT_BIN, ...the.rkt.directoryFlags, ...flavour.run(image)],
        {},
        'systemd-socket-activate',
      );
      await pod.waitFor(/Listening on/);
      const visitor = connect({ port, host: '::1' });
      visitor.on('error', () => {});
      await eventually('the pod is there', () => the.rkt.podsIn('run').length === 1, 20_000);
      const [uuid = ''] = the.rkt.podsIn('run');
      await the.rkt.ok(['status', '--wait-ready', uuid]);
      assert.equal((await the.rkt.status(uuid))['state'], 'running');
      visitor.destroy();
      await the.rkt.ok(['stop', uuid]);
      await pod.ended;
    });

    it('have no sockets of protocols that systemd does not know', async () => {
      const ports = [{ name: 'www', protocol: 'sctp', port: 80, socketActivated: true }];
      const image = writeImage(the.rkt, {
        manifest: imageManifest({ name: 'example.com/sctp', exec: ['/bin/true'], app: { ports } }),
        files: inspectFiles(),
      });
      await the.rkt.fails(flavour.run(image), 'unrecognized protocol: sctp');
    });

    it('are ready when they say so', async () => {
      const image = writeImage(the.rkt, {
        manifest: imageManifest({
          name: 'example.com/notify',
          exec: ['/notify'],
          annotations: { 'appc.io/executor/supports-systemd-notify': 'true' },
        }),
        files: [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'notify', NOTIFY)],
      });
      const pod = the.rkt.start(flavour.run(image));
      await eventually('the pod is there', () => the.rkt.podsIn('run').length === 1, 20_000);
      const [uuid = ''] = the.rkt.podsIn('run');
      await the.rkt.ok(['status', '--wait-ready', uuid]);
      assert.match(pod.output, /telling/);
      await the.rkt.ok(['stop', uuid]);
      await pod.ended;
    });

    it('are not ready as long as they say nothing', async () => {
      const image = writeImage(the.rkt, {
        manifest: imageManifest({
          name: 'example.com/silent',
          exec: ['/bin/sleep', '100'],
          annotations: { 'appc.io/executor/supports-systemd-notify': 'true' },
        }),
        files: inspectFiles(),
      });
      the.rkt.start(flavour.run(image));
      await eventually('the pod is there', () => the.rkt.podsIn('run').length === 1, 20_000);
      const [uuid = ''] = the.rkt.podsIn('run');
      await sleep(500);
      const result = await the.rkt.run(['status', '--wait-ready=500ms', uuid]);
      expectStatus(result, 254);
    });

    it('live in the time zone of the host', async function () {
      if (!existsSync('/etc/localtime')) this.skip();
      const image = writeImage(the.rkt, {
        manifest: imageManifest({ name: 'example.com/quick', exec: ['/bin/true'] }),
        files: inspectFiles(),
      });
      await the.rkt.ok([
        '--insecure-options=image',
        'run',
        '--no-overlay',
        ...flavour.stage1,
        ...flavour.net,
        image,
      ]);
      const [uuid = ''] = the.rkt.podsIn('run');
      const zone = realpathSync('/etc/localtime');
      const copy = `${the.rkt.podDir(uuid)}/stage1/rootfs${zone}`;
      assert.deepEqual(readFileSync(copy), readFileSync(zone));
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
