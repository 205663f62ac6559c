// Every request of the registration API with every status it has (contract stage1 6.2).

import assert from 'node:assert/strict';

import {
  type Got,
  IMAGE_MANIFEST,
  OTHER_TOKEN,
  OTHER_UUID,
  POD_MANIFEST,
  PREFIX,
  TestService,
  TOKEN,
  UUID,
} from './testing/test-service.ts';

describe('registration API', () => {
  let the: TestService;
  beforeEach(async () => {
    the = await TestService.start();
  });
  afterEach(() => the[Symbol.asyncDispose]());

  const is = (got: Got, status: number, text?: string | RegExp): void => {
    assert.equal(got.status, status, got.body);
    if (typeof text === 'string') assert.equal(got.body, `${text}\n`);
    else if (text !== undefined) assert.match(got.body, text);
  };
  const put = (manifest: unknown = POD_MANIFEST, token = TOKEN, uuid = UUID): Promise<Got> =>
    the.tell('PUT', `/pods/${uuid}?token=${token}`, manifest);

  describe('PUT /pods/UUID', () => {
    it('200: and says how pods reach the service', async () => {
      const got = await put();
      is(got, 200);
      assert.deepEqual(JSON.parse(got.body), { port: the.port });
      assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
    });
    it('200: a UUID in any form', async () => {
      is(await put(POD_MANIFEST, TOKEN, UUID.replaceAll('-', '').toUpperCase()), 200);
      assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
    });
    it('200: again, with another token; the first one is worth nothing then', async () => {
      await the.register();
      is(await put(POD_MANIFEST, 'another'), 200);
      is(await the.get(`${PREFIX}/pod/uuid`), 401);
      is(await the.get('/another/acMetadata/v1/pod/uuid'), 200);
      is(await the.get('/another/acMetadata/v1/apps/web/image/id'), 404, 'app not found');
    });
    it('400: no UUID', async () => {
      is(await put(POD_MANIFEST, TOKEN, ''), 400, 'UUID is missing or malformed: UUID cannot be empty');
      is(await put(POD_MANIFEST, TOKEN, 'x'), 400, 'UUID is missing or malformed: bad UUID length != 32');
      is(await put(POD_MANIFEST, TOKEN, 'z'.repeat(32)), 400, /^UUID is missing or malformed: bad UUID /);
    });
    it('400: no token', async () => {
      is(await the.tell('PUT', `/pods/${UUID}`, POD_MANIFEST), 400, 'token missing');
      is(await put(POD_MANIFEST, ''), 400, 'token missing');
    });
    it('400: no manifest', async () => {
      for (const bad of ['', '{', '[]', '{}', IMAGE_MANIFEST, { ...POD_MANIFEST, apps: [{ name: 'A/' }] }]) {
        is(await put(bad), 400, /^JSON-decoding failed: /);
      }
      is(await the.get(`${PREFIX}/pod/uuid`), 401);
    });
    it('400: a data directory that is none', async () => {
      const got = await the.tell('PUT', `/pods/${UUID}?token=x&data=relative`, POD_MANIFEST);
      is(got, 400, 'data is not an absolute path');
    });
    it('409: the token of another pod', async () => {
      await the.register();
      is(await put(POD_MANIFEST, TOKEN, OTHER_UUID), 409, 'token belongs to another pod');
      assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
      assert.equal((await the.get(`/${OTHER_TOKEN}/acMetadata/v1/pod/uuid`)).body, OTHER_UUID);
    });
    it('413: a manifest of more than 16 MiB', async () => {
      is(await put(' '.repeat(16 * 1024 * 1024 + 1)), 413, 'body is larger than 16777216 bytes');
    });
  });

  describe('PUT /pods/UUID/APP', () => {
    const putApp = (app: string, manifest: unknown = IMAGE_MANIFEST, uuid = UUID): Promise<Got> =>
      the.tell('PUT', `/pods/${uuid}/${app}`, manifest);

    it('200: and the app can be asked about', async () => {
      await put();
      is(await the.get(`${PREFIX}/apps/web/image/manifest`), 404, 'app not found');
      is(await putApp('web'), 200);
      is(await the.get(`${PREFIX}/apps/web/image/manifest`), 200);
    });
    it('200: a name with slashes', async () => {
      await put();
      is(await putApp('example.com/web'), 200);
    });
    it('400: UUID, name or manifest missing or malformed', async () => {
      await put();
      is(
        await putApp('web', IMAGE_MANIFEST, 'x'),
        400,
        'UUID is missing or malformed: bad UUID length != 32',
      );
      is(await putApp(''), 400, 'app missing');
      for (const bad of ['', 'null', POD_MANIFEST])
        is(await putApp('web', bad), 400, /^JSON-decoding failed: /);
    });
    it('404: a pod nobody has registered', async () => {
      await put();
      is(await putApp('web', IMAGE_MANIFEST, OTHER_UUID), 404, 'Pod with given UUID not found');
    });
  });

  describe('DELETE /pods/UUID', () => {
    it('200: and its token opens nothing any more', async () => {
      await the.register();
      is(await the.tell('DELETE', `/pods/${UUID}`), 200);
      is(await the.get(`${PREFIX}/pod/uuid`), 401);
      is(await the.get(`/${OTHER_TOKEN}/acMetadata/v1/pod/uuid`), 200);
    });
    it('400: no UUID', async () => {
      is(await the.tell('DELETE', '/pods/'), 400, 'UUID is missing or malformed: UUID cannot be empty');
      is(await the.tell('DELETE', '/pods/x'), 400, 'UUID is missing or malformed: bad UUID length != 32');
    });
    it('404: a pod nobody has registered', async () => {
      is(await the.tell('DELETE', `/pods/${UUID}`), 404, 'pod not found');
    });
  });

  it('405: other methods', async () => {
    const pod = await the.tell('GET', `/pods/${UUID}`);
    is(pod, 405);
    assert.equal(pod.headers.allow, 'PUT, DELETE');
    const app = await the.tell('POST', `/pods/${UUID}/web`, IMAGE_MANIFEST);
    is(app, 405);
    assert.equal(app.headers.allow, 'PUT');
  });
  it('404: other paths', async () => {
    for (const path of ['/', '/pods', '/pod/x', `${PREFIX}/pod/uuid`]) is(await the.tell('GET', path), 404);
  });
  it('is not served to pods', async () => {
    is(await the.ask('PUT', `/pods/${UUID}?token=${TOKEN}`, JSON.stringify(POD_MANIFEST)), 404);
    is(await the.ask('DELETE', `/pods/${UUID}`), 404);
  });
  it('tells the log what was asked, and no token', async () => {
    await the.tell('PUT', `/pods/${UUID}?token=${TOKEN}`, POD_MANIFEST);
    assert.equal(the.log.at(-1), `mds: PUT /pods/${UUID} - 200\n`);
  });
});
