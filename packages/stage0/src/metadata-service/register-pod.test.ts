// stage0's side of registration, against the real service and against bad ones (contract stage0 8.13, stage1 6.3).

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';

import { mdsRegistrationFile, parseMdsRegistration } from '@rkt/pod-layout/metadata-service';
import { mdsRegisteredMark } from '@rkt/pod-layout/pod-paths';
import { TempDir } from '@rkt/testkit/tmp';

import type { LockedPod } from '../pod/pod.ts';
import type { ServiceAccess } from './client.ts';
import { checkService, registerPod, unregisterPod } from './register-pod.ts';
import { IMAGE_ID, TestService, UUID } from './testing/test-service.ts';

const access = (socket: string): ServiceAccess => ({ socket, tries: 3, pauseMs: 5 });

function lockedPod(the: TestService): LockedPod {
  const { dir, lock } = the.runPod(UUID);
  return { data: the.data, uuid: UUID, directory: 'run', dir, lock };
}

/** A service that is not ours, with as many answers as it is asked. */
async function foreign(
  the: TestService,
  answer: RequestListener,
): Promise<{ readonly socket: string; readonly asked: string[]; close(): Promise<void> }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url?.replace(/\?.*/, '?...')}`);
    answer(request, response);
  });
  const socket = the.tmp.join('foreign.sock');
  await new Promise<void>((resolve) => {
    server.listen(socket, resolve);
  });
  return {
    socket,
    asked,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

describe('registering a pod', () => {
  let the: TestService;
  beforeEach(async () => {
    the = await TestService.start();
  });
  afterEach(() => the[Symbol.asyncDispose]());

  it('makes it known, and leaves the token where only root reads it', async () => {
    const pod = lockedPod(the);
    const token = await registerPod(pod, access(the.place.path));
    assert.match(token, /^[0-9a-f]{32}$/);
    const file = mdsRegistrationFile(pod.dir);
    assert.deepEqual(parseMdsRegistration(readFileSync(file, 'utf8')), { token, port: the.port });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(readFileSync(mdsRegisteredMark(pod.dir), 'utf8'), '');
    const prefix = `/${token}/acMetadata/v1`;
    assert.equal((await the.get(`${prefix}/pod/uuid`)).body, UUID);
    assert.equal((await the.get(`${prefix}/apps/plain/image/id`)).body, IMAGE_ID);
    await unregisterPod(pod, access(the.place.path));
    assert.equal((await the.get(`${prefix}/pod/uuid`)).status, 401);
  });

  it('is undone when the service refuses a part', async () => {
    const pod = lockedPod(the);
    const service = await foreign(the, ({ url = '' }, response) => {
      response.writeHead(url.endsWith('/plain') ? 500 : 200).end();
    });
    await assert.rejects(registerPod(pod, access(service.socket)), (error: Error) => {
      assert.equal(error.message, 'failed to register the pod');
      assert.equal((error.cause as Error).message, `PUT /pods/${UUID}/plain returned 500`);
      return true;
    });
    await service.close();
    assert.deepEqual(service.asked, [
      `PUT /pods/${UUID}?...`,
      `PUT /pods/${UUID}/web`,
      `PUT /pods/${UUID}/plain`,
      `DELETE /pods/${UUID}`,
    ]);
    for (const file of [mdsRegistrationFile(pod.dir), mdsRegisteredMark(pod.dir)])
      assert.ok(!existsSync(file));
  });

  it('works with the service of rkt 1.30, which answers with nothing', async () => {
    const pod = lockedPod(the);
    const service = await foreign(the, (_request, response) => void response.end());
    const token = await registerPod(pod, access(service.socket));
    await service.close();
    assert.deepEqual(parseMdsRegistration(readFileSync(mdsRegistrationFile(pod.dir), 'utf8')), {
      token,
      port: 18112,
    });
  });

  it('tries again when the connection breaks, up to three times', async () => {
    const pod = lockedPod(the);
    let broken = 2;
    const service = await foreign(the, ({ socket }, response) => {
      broken -= 1;
      if (broken >= 0) socket.destroy();
      else response.end();
    });
    await registerPod(pod, access(service.socket));
    assert.equal(service.asked.length, 5);
    broken = 3;
    await assert.rejects(registerPod(pod, access(service.socket)), { message: 'failed to register the pod' });
    await service.close();
  });

  it('fails with a hint when there is no service', async () => {
    using tmp = new TempDir('mds');
    for (const act of [
      () => checkService(access(tmp.join('none'))),
      () => registerPod(lockedPod(the), access(tmp.join('none'))),
    ]) {
      await assert.rejects(act(), (error: Error) => {
        assert.equal(error.message, 'failed to register the pod');
        const cause = error.cause as Error & { hint: string };
        assert.equal(
          cause.message,
          `could not reach the metadata service. ${tmp.join('none')}: is not there`,
        );
        assert.match(cause.hint, /rkt metadata-service/);
        return true;
      });
    }
    await checkService(access(the.place.path));
  });

  it('can be taken back when the service has forgotten the pod', async () => {
    await unregisterPod({ uuid: UUID }, access(the.place.path));
    const service = await foreign(the, (_request, response) => void response.writeHead(500).end());
    await assert.rejects(unregisterPod({ uuid: UUID }, access(service.socket)), {
      message: `DELETE /pods/${UUID} returned 500`,
    });
    await service.close();
  });
});
