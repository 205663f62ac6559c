// The metadata service and pods that use it (contract stage1 6, 9.2; stage0 8.13).

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';

import { openKernel } from '@rkt/linux/libc';
import {
  mdsRegistrationFile,
  METADATA_SOCKET,
  METADATA_SOCKET_DIR,
  parseMdsRegistration,
} from '@rkt/pod-layout/metadata-service';
import { STUB_RUN_RECORDING } from '@rkt/testkit/stub-stage1';

import { list } from '../lib/cleanup.ts';
import { BASE_ENVIRONMENT, RKT_BIN } from '../lib/environment.ts';
import { type Flavour, FLAVOURS, forEachFlavour } from '../lib/flavours.ts';
import { shellImage, stubFlag, tinyImage } from '../lib/images.ts';
import { Running, type StartOptions } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE, UUID_PATTERN } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const NET = '--net=host';
const FOREVER = 'echo app is up; while :; do sleep 1; done';
/** What an app does with its URL: `get PATH`, `post PATH FORM`, and a value of a form. */
// Debian's busybox dies of wget -T.
const CLIENT = [
  'M=$AC_METADATA_URL/acMetadata/v1',
  'get() { wget -q -O - "$M$1"; }',
  'post() { wget -q -O - --post-data "$2" "$M$1"; }',
  String.raw`escape() { sed 's/%/%25/g;s/+/%2B/g;s,/,%2F,g;s/=/%3D/g;s/ /%20/g'; }`,
].join('\n');

suite('metadata service', ['root', 'busybox'], (the) => {
  describe('on this host', () => {
    // The socket has one place on a host; here it is in this suite's mount namespace.
    before(() => {
      mkdirSync(METADATA_SOCKET_DIR, { recursive: true });
      openKernel().mount('rkt-e2e', METADATA_SOCKET_DIR, 'tmpfs', 0, 'mode=0755');
    });
    after(() => openKernel().umount2(METADATA_SOCKET_DIR, 0));

    const startService = async (
      flags: readonly string[] = ['--listen-port=0'],
      options: StartOptions = {},
    ): Promise<{ readonly service: Running; readonly port: string }> => {
      const service = the.rkt.start(['metadata-service', ...flags], { timeoutMs: 110_000, ...options });
      await service.waitFor('metadata service running...');
      const [, port = ''] = await service.waitFor(/listening on [0-9.]+:(\d+)/);
      return { service, port };
    };
    const run = (flavour: Flavour, image: string, ...flags: readonly string[]): string[] => [
      INSECURE,
      'run',
      ...flavour.stage1,
      NET,
      '--mds-register',
      ...flags,
      image,
    ];
    let serial = 0;
    /** A pod that stays, once its app is up; its app has a name of its own. */
    const startPod = async (flavour: Flavour): Promise<{ readonly pod: Running; readonly uuid: string }> => {
      const file = the.rkt.tmp.join('uuid');
      const command = run(flavour, shellImage(the.rkt, FOREVER), `--uuid-file-save=${file}`);
      const pod = the.rkt.start([...command, `--name=mds-${process.pid}-${(serial += 1)}`]);
      await pod.waitFor('app is up');
      return { pod, uuid: readFileSync(file, 'utf8') };
    };
    const inPod = async (uuid: string, script: string): Promise<{ status: number; stdout: string }> =>
      the.rkt.run(['enter', uuid, '/bin/sh', '-c', `${CLIENT}\n${script}`]);

    const stop = async (uuid: string): Promise<void> => {
      await the.rkt.ok(['stop', '--force', uuid]);
      await the.rkt.ok(['status', '--wait', uuid]);
    };

    describe('the service', () => {
      it('starts, says so, and ends at a signal with status 0', async () => {
        for (const signal of ['SIGTERM', 'SIGINT'] as const) {
          const { service, port } = await startService();
          assert.ok(statSync(METADATA_SOCKET).isSocket());
          assert.equal(statSync(METADATA_SOCKET).mode & 0o777, 0o660);
          service.kill(signal);
          const { stderr, stdout } = expectStatus(await service.ended, 0);
          assert.equal(stdout, '');
          assert.deepEqual(stderr.trimEnd().split('\n'), [
            'metadata-service: metadata service starting...',
            `metadata-service: listening on 127.0.0.1:${port}`,
            'metadata-service: metadata service running...',
            'metadata-service: metadata service exiting...',
          ]);
          assert.ok(!existsSync(METADATA_SOCKET));
        }
      });
      it('listens on port 18112 unless told otherwise', async () => {
        const { stdout } = await the.rkt.ok(['metadata-service', '--help']);
        assert.match(stdout, /--listen-port.*\n?.*18112/);
        assert.match(stdout, /--listen-address/);
      });
      it('refuses bad flags and words', async () => {
        for (const flag of ['--listen-port=x', '--listen-port=65536', '--listen-address=localhost']) {
          await the.rkt.fails(['metadata-service', flag], 'invalid argument');
        }
        await the.rkt.fails(['metadata-service', 'word'], 'metadata-service');
      });
      it('takes the place of one that was killed, not of one that works', async () => {
        const { service } = await startService();
        await the.rkt.fails(
          ['metadata-service', '--listen-port=0'],
          `another metadata service listens on ${METADATA_SOCKET}`,
        );
        service.kill('SIGKILL');
        await service.ended;
        assert.ok(existsSync(METADATA_SOCKET), 'a dead socket');
        const { service: next } = await startService();
        next.kill('SIGTERM');
        expectStatus(await next.ended, 0);
      });
      it('takes the socket that systemd listens on', async function () {
        requires(this, 'program:systemd-socket-activate');
        const activated = new Running(
          'systemd-socket-activate',
          [
            `--listen=${METADATA_SOCKET}`,
            RKT_BIN,
            ...the.rkt.directoryFlags,
            'metadata-service',
            '--listen-port=0',
          ],
          { env: BASE_ENVIRONMENT },
        );
        try {
          await activated.waitFor('Listening on');
          const image = shellImage(the.rkt, `${CLIENT}\nget /pod/uuid`);
          for (const flavour of FLAVOURS) {
            const result = await the.rkt.ok(run(flavour, image));
            assert.match(flavour.linesOf(result).join(), UUID_PATTERN);
          }
        } finally {
          activated.kill('SIGTERM');
        }
        expectStatus(await activated.ended, 0);
        assert.ok(existsSync(METADATA_SOCKET), 'the socket is not ours to remove');
      });
      it('takes no registrations from the network', async function () {
        requires(this, 'program:systemd-socket-activate');
        const port = await freePort();
        const activated = new Running(
          'systemd-socket-activate',
          [`--listen=127.0.0.1:${port}`, RKT_BIN, 'metadata-service', '--listen-port=0'],
          { env: BASE_ENVIRONMENT },
        );
        await activated.waitFor('Listening on');
        connect(port, '127.0.0.1').on('error', () => undefined);
        const { stderr } = expectStatus(await activated.ended, FAILURE);
        assert.match(stderr, /it is no unix socket \(use ListenStream=/);
      });
    });

    forEachFlavour([], (flavour) => {
      it('serves an app all there is to know about its pod', async () => {
        const { service } = await startService();
        const image = shellImage(
          the.rkt,
          [
            CLIENT,
            'echo name=$AC_APP_NAME',
            'echo uuid=$(get /pod/uuid)',
            'echo colour=$(get /apps/test-app/annotations/example.com/colour)',
            'echo authors=$(get /apps/test-app/annotations/authors)',
            'echo id=$(get /apps/test-app/image/id)',
            'echo image=$(get /apps/test-app/image/manifest)',
            'echo pod=$(get /pod/manifest)',
            'echo annotations=$(get /pod/annotations)',
            'echo signature=$(post /pod/hmac/sign content=Old+MacDonald+Had+A+Farm)',
          ].join('\n'),
          { annotations: { authors: 'the image', 'example.com/colour': 'blue' } },
        );
        const file = the.rkt.tmp.join('uuid');
        const key = await the.rkt.fetch(image);
        const result = await the.rkt.ok([
          ...run(flavour, image, `--uuid-file-save=${file}`),
          '--name=test-app',
          '--annotation=authors=the pod',
        ]);
        const uuid = readFileSync(file, 'utf8');
        const said = Object.fromEntries(
          flavour.linesOf(result).map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
        );
        assert.equal(said['name'], 'test-app');
        assert.equal(said['uuid'], uuid);
        assert.equal(said['colour'], 'blue');
        assert.equal(said['authors'], 'the pod');
        assert.equal(said['id'], key);
        const { name } = JSON.parse(said['image'] ?? '') as { name: string };
        assert.ok(image !== '' && name.includes('/'));
        const { stdout: manifest } = await the.rkt.ok(['cat-manifest', uuid]);
        const pod = JSON.parse(manifest) as { annotations: unknown };
        assert.deepEqual(JSON.parse(said['pod'] ?? ''), pod);
        assert.deepEqual(JSON.parse(said['annotations'] ?? ''), pod.annotations);
        assert.match(said['signature'] ?? '', /^[A-Za-z0-9+/]{86}==$/);
        await the.rkt.ok(['gc', '--grace-period=0s']);
        assert.match(service.output, new RegExp(`GET /${uuid}/acMetadata/v1/pod/uuid - 200`));
        assert.match(service.output, new RegExp(`DELETE /pods/${uuid} - `));
      });

      it('proves to one pod what another has signed', async () => {
        await startService();
        const content = 'a+b & 100% =';
        const escaped = `$(printf %s '${content}' | sed 's/%/%25/g;s/+/%2B/g;s/&/%26/g;s/=/%3D/g;s/ /%20/g')`;
        const { uuid: signer } = await startPod(flavour);
        const { uuid: verifier } = await startPod(flavour);
        const { stdout: signature } = await inPod(signer, `post /pod/hmac/sign "content=${escaped}"`);
        assert.match(signature, /^[A-Za-z0-9+/]{86}==$/);
        const verify = async (uuid: string): Promise<number> => {
          const form = `uuid=${uuid}&content=${escaped}&signature=$(echo '${signature}' | escape)`;
          return (await inPod(verifier, `post /pod/hmac/verify "${form}"`)).status;
        };
        assert.equal(await verify(signer), 0);
        assert.notEqual(await verify(verifier), 0);
      });

      it('is there again after kill -9, for pods that were there before', async () => {
        const { service, port } = await startService();
        const { uuid } = await startPod(flavour);
        assert.equal((await inPod(uuid, 'get /pod/uuid')).stdout, uuid);
        service.kill('SIGKILL');
        await service.ended;
        assert.notEqual((await inPod(uuid, 'get /pod/uuid')).status, 0);
        const { service: next } = await startService([`--listen-port=${port}`]);
        assert.equal((await inPod(uuid, 'get /pod/uuid')).stdout, uuid);
        await stop(uuid);
        await the.rkt.ok(['rm', uuid]);
        await next.waitFor(`DELETE /pods/${uuid}`);
      });

      it('keeps the token out of argv and out of what others may read', async () => {
        const { service } = await startService();
        const { uuid } = await startPod(flavour);
        const dir = the.rkt.podDir(uuid);
        const { token } = parseMdsRegistration(readFileSync(mdsRegistrationFile(dir), 'utf8'));
        assert.equal((await inPod(uuid, 'echo $AC_METADATA_URL')).stdout.trim().split('/').at(-1), token);
        for (const pid of list('/proc').filter((name) => /^\d+$/.test(name))) {
          assert.ok(!text(`/proc/${pid}/cmdline`).includes(token), text(`/proc/${pid}/cmdline`));
        }
        const holders = filesBelow(dir).filter((file) => text(file).includes(token));
        assert.ok(holders.length >= 2, holders.join());
        for (const file of holders) assert.equal(statSync(file).mode & 0o077, 0, file);
        assert.ok(!service.output.includes(token));
      });

      it('works for prepared pods, and is asked before they change', async () => {
        const uuid = await the.rkt.prepare([
          ...flavour.stage1,
          shellImage(the.rkt, `${CLIENT}\necho uuid=$(get /pod/uuid)`),
        ]);
        const start = ['run-prepared', NET, '--mds-register', uuid];
        await the.rkt.fails(start, 'could not reach the metadata service');
        assert.equal((await the.rkt.status(uuid))['state'], 'prepared');
        await startService();
        assert.deepEqual(flavour.linesOf(await the.rkt.ok(start)), [`uuid=${uuid}`]);
      });

      it('is not told of pods that do not ask for it', async () => {
        const { service } = await startService();
        const image = shellImage(the.rkt, 'echo url=$AC_METADATA_URL');
        const result = await the.rkt.ok([INSECURE, 'run', ...flavour.stage1, NET, image]);
        assert.deepEqual(flavour.linesOf(result), ['url=']);
        assert.doesNotMatch(service.output, /PUT/);
      });
    });

    describe('without a service', () => {
      it('a pod is not made, and the error says what to do', async () => {
        const image = tinyImage(the.rkt, { exec: ['/bin/x'] });
        const { stderr } = await the.rkt.fails(
          [INSECURE, 'run', stubFlag(the.rkt), NET, '--mds-register', image],
          'run: failed to register the pod: could not reach the metadata service.',
        );
        assert.match(stderr, /rkt metadata-service/);
        assert.deepEqual(the.rkt.podsIn('run'), []);
      });
      it('gc warns and goes on', async () => {
        const { service } = await startService();
        const image = tinyImage(the.rkt, { exec: ['/bin/x'] });
        await the.rkt.ok([INSECURE, 'run', stubFlag(the.rkt), NET, '--mds-register', image]);
        service.kill('SIGTERM');
        await service.ended;
        const { stderr } = await the.rkt.ok(['gc', '--grace-period=0s']);
        assert.match(stderr, /warning: could not unregister pod with metadata service/);
        assert.deepEqual(the.rkt.podsIn('exited-garbage'), []);
      });
    });

    describe('a stage1 image', () => {
      const recorded = async (annotations: Readonly<Record<string, string>>): Promise<[string[], string]> => {
        const stub = stubFlag(the.rkt, { run: STUB_RUN_RECORDING, annotations });
        const image = tinyImage(the.rkt, { exec: ['/bin/x'] });
        const { stderr } = await the.rkt.ok([INSECURE, 'run', stub, NET, '--mds-register', image]);
        const [uuid = ''] = the.rkt.podsIn('run');
        const words = text(`${the.rkt.podDir(uuid)}/stub-run`).split('\n');
        return [words.filter((line) => line.includes('mds')), stderr];
      };
      it('that knows no file gets the token in argv, with a warning', async () => {
        await startService();
        const [words, stderr] = await recorded({});
        assert.match(words.join(), /^arg=--mds-token=[0-9a-f]{32}$/);
        assert.match(stderr, /^warning: stage1 takes the metadata token as an argument/m);
      });
      it('that reads the file gets no token in argv', async () => {
        await startService();
        assert.deepEqual(await recorded({ 'coreos.com/rkt/stage1/mds-registration': 'true' }), [[], '']);
      });
    });

    it('is refused on a network of its own', async () => {
      await the.rkt.fails(
        [INSECURE, 'run', '--net=none', '--mds-register', tinyImage(the.rkt)],
        '--mds-register flag does not work with --net=none',
      );
    });
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}

function text(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = `${directory}/${entry.name}`;
    // The roots of apps are theirs, and large.
    if (entry.isDirectory())
      return entry.name === 'rootfs' && path.includes('/stage2/') ? [] : filesBelow(path);
    return entry.isFile() && statSync(path).size < 100_000 ? [path] : [];
  });
}
