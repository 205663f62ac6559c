// The service as a process sees it: its socket, its addresses, pods that come and go (contract stage1 6.1, 10.1, 10.2 17).

import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

import { printMdsRegistration, mdsRegistrationFile } from '@rkt/pod-layout/metadata-service';
import { type PodDir, runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import { TempDir } from '@rkt/testkit/tmp';

import {
  IMAGE_ID,
  OTHER_UUID,
  POD_MANIFEST,
  PREFIX,
  send,
  TestService,
  TOKEN,
  UUID,
} from './testing/test-service.ts';

/** Resolves when the log has a line that contains `text`. */
async function logged(the: TestService, text: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!the.log.some((line) => line.includes(text))) {
    assert.ok(Date.now() < deadline, `no ${text} in ${the.log.join('')}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 10);
    });
  }
}

const sayAddress = (dir: PodDir, address: string): void =>
  writeFileSync(
    runtimeConfigFile(dir),
    JSON.stringify({ MetadataServiceURL: `http://${address}:1/${TOKEN}` }),
  );

describe('registration socket', () => {
  it('is for root alone, and goes with the service', async () => {
    await using the = await TestService.start();
    const { path } = the.place;
    assert.ok(statSync(path).isSocket());
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal(statSync(the.place.directory).mode & 0o777, 0o755);
    await the.close();
    assert.ok(!existsSync(path));
  });
  it('of a dead service is replaced', async () => {
    const tmp = new TempDir('mds');
    mkdirSync(tmp.join('run'));
    const dead = createServer();
    await new Promise<void>((resolve) => {
      dead.listen(tmp.join('dead.sock'), resolve);
    });
    // Renamed, it stays when the server ends, as after kill -9.
    const { renameSync } = await import('node:fs');
    renameSync(tmp.join('dead.sock'), tmp.join('run/metadata.sock'));
    await new Promise((resolve) => {
      dead.close(resolve);
    });
    assert.ok(existsSync(tmp.join('run/metadata.sock')));
    await using the = await TestService.start({ in: tmp });
    await the.register();
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
  });
  it('of a service that works is left to it', async () => {
    await using the = await TestService.start();
    await assert.rejects(TestService.start({ in: the.tmp }), {
      code: 'socket-taken',
      message: `another metadata service listens on ${the.place.path}`,
    });
    await the.register();
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
  });
  it('of a service that knows nothing of the lock is left to it', async () => {
    using tmp = new TempDir('mds');
    mkdirSync(tmp.join('run'));
    const foreign = createServer();
    await new Promise<void>((resolve) => {
      foreign.listen(tmp.join('run/metadata.sock'), resolve);
    });
    await assert.rejects(TestService.start({ in: tmp }), { code: 'socket-taken' });
    await new Promise((resolve) => {
      foreign.close(resolve);
    });
  });
  it('does not take the place of a file', async () => {
    using tmp = new TempDir('mds');
    mkdirSync(tmp.join('run'));
    writeFileSync(tmp.join('run/metadata.sock'), 'precious');
    await assert.rejects(TestService.start({ in: tmp }), { code: 'socket-taken', hint: 'remove it' });
    assert.equal(readFileSync(tmp.join('run/metadata.sock'), 'utf8'), 'precious');
  });
  it('goes to exactly one of many services that start at once', async () => {
    const tmp = new TempDir('mds');
    const started = await Promise.allSettled([1, 2, 3, 4, 5].map(() => TestService.start({ in: tmp })));
    const running = started.filter((each) => each.status === 'fulfilled');
    assert.equal(running.length, 1);
    await running[0]?.value[Symbol.asyncDispose]();
  });
});

describe('public addresses', () => {
  it('are loopback, and no other', async () => {
    await using the = await TestService.start();
    await the.register();
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).status, 200);
    await assert.rejects(send({ host: '127.0.0.2', port: the.port }, 'GET', '/'), { code: 'ECONNREFUSED' });
  });
  it('are those that pods see, while they run', async () => {
    await using the = await TestService.start();
    const [one, two] = [the.runPod(UUID), the.runPod(OTHER_UUID)];
    const register = (uuid: string, token: string) =>
      the.tell('PUT', `/pods/${uuid}?token=${token}&data=${encodeURIComponent(the.data)}`, POD_MANIFEST);
    await register(UUID, TOKEN);
    // A file that is not whole yet says nothing.
    writeFileSync(runtimeConfigFile(one.dir), '{"MetadataServiceURL":"http://127.0.0.3:1/');
    sayAddress(one.dir, '127.0.0.2');
    await logged(the, `mds: listening on 127.0.0.2:${the.port}`);
    const ask = () => send({ host: '127.0.0.2', port: the.port }, 'GET', `${PREFIX}/pod/uuid`);
    assert.equal((await ask()).body, UUID);
    sayAddress(two.dir, '127.0.0.2');
    await register(OTHER_UUID, 'other');
    // The address stays as long as one pod needs it.
    await the.tell('DELETE', `/pods/${OTHER_UUID}`);
    assert.equal((await ask()).body, UUID);
    one.lock.release();
    assert.equal((await ask()).status, 401);
    await logged(the, 'no longer listening on 127.0.0.2');
    await assert.rejects(ask(), { code: 'ECONNREFUSED' });
  });
  it('that the host does not have are told, and the service goes on', async () => {
    await using the = await TestService.start();
    const { dir } = the.runPod(UUID);
    sayAddress(dir, '192.0.2.1');
    await the.tell('PUT', `/pods/${UUID}?token=${TOKEN}&data=${the.data}`, POD_MANIFEST);
    await logged(the, `cannot listen on 192.0.2.1:${the.port}: this host does not have the address`);
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).status, 200);
  });
  it('can be one that the administrator chose; pods are told', async () => {
    await using the = await TestService.start({ address: '127.0.0.4' });
    const { dir } = the.runPod(UUID);
    sayAddress(dir, '127.0.0.2');
    const got = await the.tell('PUT', `/pods/${UUID}?token=${TOKEN}&data=${the.data}`, POD_MANIFEST);
    assert.deepEqual(JSON.parse(got.body), { port: the.port, address: '127.0.0.4' });
    const status = async (host: string) =>
      (await send({ host, port: the.port }, 'GET', `${PREFIX}/pod/uuid`)).status;
    assert.equal(await status('127.0.0.4'), 200);
    for (const host of ['127.0.0.1', '127.0.0.2'])
      await assert.rejects(status(host), { code: 'ECONNREFUSED' });
  });
  it('can be all; pods then ask at the one they see', async () => {
    await using the = await TestService.start({ address: '0.0.0.0' });
    const got = await the.tell('PUT', `/pods/${UUID}?token=${TOKEN}`, POD_MANIFEST);
    assert.deepEqual(JSON.parse(got.body), { port: the.port });
    assert.equal(
      (await send({ host: '127.0.0.9', port: the.port }, 'GET', `${PREFIX}/pod/uuid`)).status,
      200,
    );
  });
  it('that are taken are an error that says so', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => {
      taken.listen(0, '127.0.0.1', resolve);
    });
    const { port } = taken.address() as { port: number };
    const { startService } = await import('./service.ts');
    const { createLogger } = await import('@rkt/diagnostics/logger');
    const { dataDir } = await import('@rkt/pod-layout/data-dir');
    using tmp = new TempDir('mds');
    await assert.rejects(
      startService({
        port,
        data: dataDir(tmp.join('data')),
        env: {},
        logger: createLogger({ prefix: 'mds', write: () => undefined }),
        place: { directory: tmp.join('run'), path: tmp.join('run/s') },
      }),
      { code: 'cannot-listen', message: `cannot listen on 127.0.0.1:${port}: another program does` },
    );
    await new Promise((resolve) => {
      taken.close(resolve);
    });
  });
});

describe('pods', () => {
  it('are forgotten when they end', async () => {
    await using the = await TestService.start();
    const { lock } = the.runPod(UUID);
    await the.tell('PUT', `/pods/${UUID}?token=${TOKEN}&data=${the.data}`, POD_MANIFEST);
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).status, 200);
    lock.release();
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).status, 401);
    assert.equal((await the.tell('DELETE', `/pods/${UUID}`)).status, 404);
    // Their tokens are free again.
    assert.equal((await the.tell('PUT', `/pods/${OTHER_UUID}?token=${TOKEN}`, POD_MANIFEST)).status, 200);
  });
  it('stay when the service may not look whether they run', async function () {
    if (process.geteuid?.() !== 0) this.skip();
    await using the = await TestService.start();
    the.runPod(UUID);
    await the.tell('PUT', `/pods/${UUID}?token=${TOKEN}&data=${the.data}`, POD_MANIFEST);
    chmodSync(the.data, 0o700);
    process.seteuid?.(65534);
    try {
      assert.equal((await the.get(`${PREFIX}/pod/uuid`)).status, 200);
    } finally {
      process.seteuid?.(0);
    }
  });
  it('that run are known to the next service, others are not', async () => {
    const tmp = new TempDir('mds');
    const first = await TestService.start({ in: tmp });
    const registered = first.runPod(UUID);
    writeFileSync(mdsRegistrationFile(registered.dir), printMdsRegistration({ token: TOKEN, port: 1 }));
    const ended = first.runPod(OTHER_UUID);
    writeFileSync(mdsRegistrationFile(ended.dir), printMdsRegistration({ token: 'other', port: 1 }));
    ended.lock.release();
    first.runPod('00000000-0000-4000-8000-000000000003');
    const broken = first.runPod('00000000-0000-4000-8000-000000000004');
    writeFileSync(mdsRegistrationFile(broken.dir), '{');
    await first.close();
    await using the = await TestService.start({ in: tmp });
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
    assert.equal((await the.get(`${PREFIX}/apps/web/image/id`)).body, IMAGE_ID);
    assert.equal((await the.get('/other/acMetadata/v1/pod/uuid')).status, 401);
    assert.ok(the.log.join('').includes('cannot recover pod 00000000-0000-4000-8000-000000000004'));
    for (const { lock } of [registered, broken]) lock.release();
  });
});

describe('end of the service', () => {
  it('lets requests under way finish', async () => {
    await using the = await TestService.start();
    await the.register();
    const head = `POST ${PREFIX}/pod/hmac/sign HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n`;
    const { connect } = await import('node:net');
    const socket = connect(the.port, '127.0.0.1');
    const type = 'Content-Type: application/x-www-form-urlencoded\r\n\r\n';
    let text = '';
    const over = new Promise<void>((resolve) => {
      socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
      socket.once('close', () => resolve());
    });
    await new Promise<void>((resolve) => {
      socket.write(head + type, () => resolve());
    });
    // One that was sent later and is answered shows that the service has read the first.
    await the.get(`${PREFIX}/pod/uuid`);
    const closed = the.close(5000);
    socket.write('content=x');
    await Promise.all([over, closed]);
    assert.match(text, /^HTTP\/1\.1 200 /);
  });
  it('does not wait for ever', async () => {
    await using the = await TestService.start();
    const hanging = the.raw('GET / HTTP/1.1\r\nHost:');
    await the.get('/');
    const start = Date.now();
    await the.close(200);
    assert.ok(Date.now() - start < 4000);
    await hanging;
  });
});
