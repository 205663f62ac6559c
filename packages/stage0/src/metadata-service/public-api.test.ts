// Every route of the public API with every status it has (contract stage1 6.4).

import assert from 'node:assert/strict';

import { POD_FIXTURE_PATHS } from './testing/paths.ts';
import {
  type Got,
  IMAGE_ID,
  IMAGE_MANIFEST,
  OTHER_TOKEN,
  OTHER_UUID,
  POD_MANIFEST,
  PREFIX,
  TestService,
  TOKEN,
  UUID,
} from './testing/test-service.ts';

const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=us-ascii';

describe('public API', () => {
  let the: TestService;
  before(async () => {
    the = await TestService.start();
    await the.register();
  });
  after(() => the[Symbol.asyncDispose]());

  const answers = (got: Got, status: number, type: string, body: unknown): void => {
    assert.deepEqual(
      { status: got.status, type: got.headers['content-type'] },
      { status, type },
      `${got.status} ${got.body}`,
    );
    assert.deepEqual(type === JSON_TYPE ? JSON.parse(got.body) : got.body, body);
  };
  const refuses = (got: Got, status: number, text: string | RegExp): void => {
    assert.equal(got.status, status, got.body);
    assert.equal(got.headers['content-type'], 'text/plain; charset=utf-8');
    assert.ok(got.body.endsWith('\n'), 'errors end in a newline');
    if (typeof text === 'string') assert.equal(got.body, `${text}\n`);
    else assert.match(got.body, text);
  };

  describe('GET /pod/annotations', () => {
    it('200: the list of the pod manifest', async () => {
      answers(await the.get(`${PREFIX}/pod/annotations`), 200, JSON_TYPE, POD_MANIFEST.annotations);
    });
    it('200: null where the manifest has none', async () => {
      const { annotations: _, ...bare } = POD_MANIFEST;
      await the.tell('PUT', '/pods/00000000-0000-4000-8000-000000000001?token=bare', bare);
      answers(await the.get('/bare/acMetadata/v1/pod/annotations'), 200, JSON_TYPE, null);
    });
  });

  describe('GET /pod/annotations/NAME', () => {
    it('200: the value, names with slashes escaped or not', async () => {
      for (const name of ['example.com/colour', 'example.com%2Fcolour', 'example%2ecom/colour']) {
        answers(await the.get(`${PREFIX}/pod/annotations/${name}`), 200, TEXT_TYPE, 'blau & grün');
      }
      answers(await the.get(`${PREFIX}/pod/annotations/empty`), 200, TEXT_TYPE, '');
    });
    it('400: what is no identifier', async () => {
      for (const name of ['', 'A', '-x', 'a-', '%00', 'a%20b', '%C3%A9']) {
        refuses(await the.get(`${PREFIX}/pod/annotations/${name}`), 400, /./);
      }
      refuses(await the.get(`${PREFIX}/pod/annotations/%ff`), 400, /^bad escapes in /);
    });
    it('404: an annotation the pod does not have', async () => {
      refuses(await the.get(`${PREFIX}/pod/annotations/nope`), 404, 'Pod annotation "nope" not found');
      refuses(await the.get(`${PREFIX}/pod/annotations/secret`), 404, 'Pod annotation "secret" not found');
    });
  });

  it('GET /pod/manifest 200: the pod manifest as rkt writes it', async () => {
    const got = await the.get(`${PREFIX}/pod/manifest`);
    answers(got, 200, JSON_TYPE, { ...POD_MANIFEST, volumes: null, isolators: null, ports: null });
    assert.ok(got.body.includes('blau \\u0026 grün'), 'as Go marshals it');
  });

  it('GET /pod/uuid 200: the canonical UUID', async () => {
    answers(await the.get(`${PREFIX}/pod/uuid`), 200, TEXT_TYPE, UUID);
    answers(await the.get(`/${OTHER_TOKEN}/acMetadata/v1/pod/uuid`), 200, TEXT_TYPE, OTHER_UUID);
  });

  describe('GET /apps/APP/annotations', () => {
    it("200: the image's, with the app's in their place or behind them", async () => {
      answers(await the.get(`${PREFIX}/apps/web/annotations`), 200, JSON_TYPE, [
        { name: 'created', value: '2016-01-26T14:23:34Z' },
        { name: 'authors', value: 'the pod' },
        { name: 'app/only', value: 'a' },
      ]);
      answers(await the.get(`${PREFIX}/apps/plain/annotations`), 200, JSON_TYPE, IMAGE_MANIFEST.annotations);
    });
    it('400: what is no name of an app', async () => {
      for (const name of ['WEB', 'we_b', 'a/b', 'a%2fb', '%00', '-']) {
        refuses(await the.get(`${PREFIX}/apps/${name}/annotations`), 400, /./);
        refuses(await the.get(`${PREFIX}/apps/${name}/annotations/authors`), 400, /./);
      }
    });
    it('404: an app the pod does not have', async () => {
      refuses(await the.get(`${PREFIX}/apps/nope/annotations`), 404, 'app not found');
      refuses(await the.get(`/${OTHER_TOKEN}/acMetadata/v1/apps/web/annotations`), 404, 'app not found');
    });
  });

  describe('GET /apps/APP/annotations/NAME', () => {
    it('200: the value, names with slashes too', async () => {
      answers(await the.get(`${PREFIX}/apps/web/annotations/authors`), 200, TEXT_TYPE, 'the pod');
      answers(await the.get(`${PREFIX}/apps/plain/annotations/authors`), 200, TEXT_TYPE, 'the image');
      answers(await the.get(`${PREFIX}/apps/web/annotations/app/only`), 200, TEXT_TYPE, 'a');
    });
    it('400: what is no identifier', async () => {
      for (const name of ['', 'A', 'a/']) {
        refuses(await the.get(`${PREFIX}/apps/web/annotations/${name}`), 400, /./);
      }
    });
    it('404: an annotation or an app that is not there', async () => {
      refuses(
        await the.get(`${PREFIX}/apps/web/annotations/annotations`),
        404,
        'App annotation "annotations" not found',
      );
      refuses(await the.get(`${PREFIX}/apps/nope/annotations/authors`), 404, 'app not found');
    });
  });

  it('GET /apps/APP/image/manifest 200 and 404', async () => {
    answers(await the.get(`${PREFIX}/apps/web/image/manifest`), 200, JSON_TYPE, IMAGE_MANIFEST);
    for (const app of ['nope', 'WEB', 'a/b', '..', '%2e%2e']) {
      refuses(await the.get(`${PREFIX}/apps/${app}/image/manifest`), 404, 'app not found');
    }
  });

  it('GET /apps/APP/image/id 200 and 404', async () => {
    answers(await the.get(`${PREFIX}/apps/web/image/id`), 200, TEXT_TYPE, IMAGE_ID);
    refuses(await the.get(`${PREFIX}/apps/nope/image/id`), 404, 'app not found');
    refuses(await the.get(`${PREFIX}/apps/constructor/image/id`), 404, 'app not found');
  });

  describe('POST /pod/hmac', () => {
    const sign = async (content: string, token = TOKEN): Promise<string> => {
      const got = await the.post(`/${token}/acMetadata/v1/pod/hmac/sign`, { content });
      assert.equal(got.status, 200, got.body);
      assert.equal(got.headers['content-type'], TEXT_TYPE);
      return got.body;
    };
    const verify = (fields: Record<string, string>, token = TOKEN): Promise<Got> =>
      the.post(`/${token}/acMetadata/v1/pod/hmac/verify`, fields);

    it('sign 200: 64 bytes in base64, the same each time', async () => {
      const signature = await sign('Old MacDonald Had A Farm');
      assert.match(signature, /^[A-Za-z0-9+/]{86}==$/);
      assert.equal(await sign('Old MacDonald Had A Farm'), signature);
      assert.notEqual(await sign('Old MacDonald Had A Farm '), signature);
      assert.notEqual(await sign('Old MacDonald Had A Farm', OTHER_TOKEN), signature);
    });
    it('sign 400: no content', async () => {
      const path = `${PREFIX}/pod/hmac/sign`;
      for (const got of [
        await the.post(path, {}),
        await the.post(path, { content: '' }),
        await the.post(path, { Content: 'x' }),
        await the.ask('POST', path),
        await the.ask('POST', path, 'content=x', { 'Content-Type': 'text/plain' }),
        await the.ask('POST', `${path}?content=x`),
      ]) {
        refuses(got, 400, 'content form value not found');
      }
    });
    it('sign 413: more than a megabyte', async () => {
      refuses(
        await the.post(`${PREFIX}/pod/hmac/sign`, { content: 'x'.repeat(1024 * 1024) }),
        413,
        'body is larger than 1048576 bytes',
      );
    });
    it('verify 200: by the pod itself and by another', async () => {
      const signature = await sign('text & more');
      for (const token of [TOKEN, OTHER_TOKEN]) {
        const got = await verify({ uuid: UUID, content: 'text & more', signature }, token);
        answers(got, 200, TEXT_TYPE, '');
      }
      assert.equal(
        (await verify({ uuid: UUID.toUpperCase(), content: 'text & more', signature })).status,
        200,
      );
    });
    it('verify 403: another text, another pod, another signature', async () => {
      const signature = await sign('text');
      const right = { uuid: UUID, content: 'text', signature };
      for (const wrong of [
        { content: 'texT' },
        { uuid: OTHER_UUID },
        { signature: await sign('text', OTHER_TOKEN) },
        { signature: signature.slice(4) },
        { signature: 'AAAA' },
      ]) {
        answers(await verify({ ...right, ...wrong }), 403, TEXT_TYPE, '');
      }
    });
    it('verify 400: fields that are missing or malformed', async () => {
      const right = { uuid: UUID, content: 'x', signature: 'AAAA' };
      for (const name of ['uuid', 'content', 'signature'] as const) {
        refuses(await verify({ ...right, [name]: '' }), 400, `${name} form value not found`);
      }
      refuses(await verify({ ...right, uuid: 'x' }), 400, 'bad UUID length != 32');
      for (const signature of ['A', 'AAA', 'AA==AA', '****', 'AAA-', 'AA A']) {
        refuses(await verify({ ...right, signature }), 400, 'signature is not base64');
      }
    });
    it('knows bytes that are no text apart', async () => {
      const post = (what: string, body: string): Promise<Got> =>
        the.ask('POST', `${PREFIX}/pod/hmac/${what}`, body, {
          'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8',
        });
      const { body: signature } = await post('sign', 'content=%ff');
      const rest = `uuid=${UUID}&signature=${encodeURIComponent(signature)}`;
      assert.equal((await post('verify', `content=%FF&${rest}`)).status, 200);
      assert.equal((await post('verify', `content=%fe&${rest}`)).status, 403);
    });
  });

  describe('every path', () => {
    it('401: a token nobody has', async () => {
      for (const { method, path } of POD_FIXTURE_PATHS) {
        for (const token of ['x', TOKEN.slice(1), `${TOKEN}0`, TOKEN.toUpperCase(), '%00', UUID]) {
          refuses(await the.ask(method, `/${token}/acMetadata/v1${path}`), 401, 'unknown token');
        }
      }
    });
    it('405: other methods, with those that are right', async () => {
      for (const { method, path } of POD_FIXTURE_PATHS) {
        for (const wrong of [
          'PUT',
          'DELETE',
          'HEAD',
          'OPTIONS',
          'PATCH',
          method === 'GET' ? 'POST' : 'GET',
        ]) {
          const got = await the.ask(wrong, `${PREFIX}${path}`);
          assert.equal(got.status, 405, `${wrong} ${path}`);
          assert.equal(got.headers.allow, method);
        }
      }
    });
    it('needs no Metadata-Flavor, and takes it', async () => {
      for (const flavor of ['AppContainer', 'x']) {
        const got = await the.ask('GET', `${PREFIX}/pod/uuid`, undefined, { 'Metadata-Flavor': flavor });
        answers(got, 200, TEXT_TYPE, UUID);
      }
    });
  });

  it('404: everything else', async () => {
    for (const path of [
      '/',
      '//',
      `/${TOKEN}`,
      `/${TOKEN}/`,
      `/${TOKEN}/acMetadata`,
      PREFIX,
      `${PREFIX}/`,
      `${PREFIX}/pod`,
      `${PREFIX}/pod/`,
      `${PREFIX}/pod/uuid/`,
      `${PREFIX}/pod//uuid`,
      `${PREFIX}/Pod/uuid`,
      `${PREFIX}/apps/web`,
      `${PREFIX}/apps//image/id`,
      `${PREFIX}/../v1/pod/uuid`,
      `/${TOKEN}/acMetadata/v2/pod/uuid`,
      `/x/${TOKEN}/acMetadata/v1/pod/uuid`,
      '/pods/x',
      `http://127.0.0.1${PREFIX}/pod/uuid`,
    ]) {
      assert.equal((await the.get(path)).status, 404, path);
    }
  });

  it('tells the log what was asked, and no token', async () => {
    the.log.length = 0;
    await the.get(`${PREFIX}/pod/uuid?q=${TOKEN}`);
    await the.get(`/${'e'.repeat(32)}/acMetadata/v1/pod/uuid`);
    await the.get(`http://127.0.0.1${PREFIX}/pod/uuid`);
    await the.post(`${PREFIX}/pod/hmac/sign`, { content: 'private' });
    assert.deepEqual(the.log, [
      `mds: GET /${UUID}/acMetadata/v1/pod/uuid - 200\n`,
      'mds: GET /unknown/acMetadata/v1/pod/uuid - 401\n',
      'mds: GET /unknown - 404\n',
      `mds: POST /${UUID}/acMetadata/v1/pod/hmac/sign - 200\n`,
    ]);
  });
});
