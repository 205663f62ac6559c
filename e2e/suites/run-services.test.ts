// Apps as services: sockets that the host made, readiness, the time zone, event handlers' limits (contract stage1 2.2,
// 2.8, 2.30).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { inspectFiles } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { forEachFlavour } from '../lib/flavours.ts';
import { RKT_BIN } from '../lib/environment.ts';
import { writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';
import { tinyProgram } from '../lib/tiny-program.ts';

/** Answers one connection of the socket at descriptor 3, then ends. */
const ANSWER = `
void _start(void) {
  long fd = call(43, 3, 0, 0, 0, 0, 0);
  if (fd < 0) { say("no socket at 3\\n"); quit(1); }
  call(1, fd, (long)"hello from the pod\\n", 19, 0, 0, 0);
  call(3, fd, 0, 0, 0, 0, 0);
  quit(0);
}
`;

/** Waits for a second and tells systemd that it is ready, then says so and waits. */
const NOTIFY = `
struct { unsigned short family; char path[108]; } address;
void _start(void) {
  static const char path[] = "/run/systemd/notify";
  long wait[2], fd, i;
  wait[0] = 1; wait[1] = 0;
  call(35, (long)wait, 0, 0, 0, 0, 0);
  address.family = 1;
  for (i = 0; path[i]; i++) address.path[i] = path[i];
  fd = call(41, 1, 2, 0, 0, 0, 0);
  say("telling\\n");
  if (call(44, fd, (long)"READY=1", 7, 0, (long)&address, sizeof address.family + sizeof path) != 7) { say("cannot\\n"); quit(1); }
  wait[0] = 100;
  call(35, (long)wait, 0, 0, 0, 0, 0);
  quit(0);
}
`;

suite('services', ['root', 'busybox', 'program:tcc'], (the) => {
  forEachFlavour(['isolated'], (flavour) => {
    const run = [INSECURE, 'run', ...flavour.stage1, ...flavour.net];

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
        [`--listen=${port}`, RKT_BIN, ...the.rkt.directoryFlags, ...run, key],
        {},
        'systemd-socket-activate',
      );
      await pod.waitFor(/Listening on/);
      const answer = answerOf(port).catch(String);
      const result = expectStatus(await pod.ended, 0);
      assert.equal(await answer, 'hello from the pod\n', result.output);
      assert.match(
        result.output,
        new RegExp(`no --port option for socket-activated port "www", assuming port ${port}`),
      );
      // The pod had its lock all the time, and has none now.
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.equal((await the.rkt.status(uuid))['state'], 'exited');
    });

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
        [`--listen=${port}`, RKT_BIN, ...the.rkt.directoryFlags, ...run, image],
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

    it('are ready when they say so', async () => {
      const image = writeImage(the.rkt, {
        manifest: imageManifest({
          name: 'example.com/notify',
          exec: ['/notify'],
          annotations: { 'appc.io/executor/supports-systemd-notify': 'true' },
        }),
        files: [...inspectFiles(), tinyProgram(the.rkt.tmp.path, 'notify', NOTIFY)],
      });
      const pod = the.rkt.start([...run, image]);
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
      the.rkt.start([...run, image]);
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

function answerOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ port, host: '::1' });
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => (text += part));
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}
