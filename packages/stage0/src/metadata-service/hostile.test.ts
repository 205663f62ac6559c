// What a pod that means harm may send (contract stage1 10.1): no crash, no other pod's data, nothing without end.

import assert from 'node:assert/strict';
import { connect } from 'node:net';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { parseForm } from './request-body.ts';
import { POD_FIXTURE_PATHS } from './testing/paths.ts';
import { OTHER_TOKEN, OTHER_UUID, PREFIX, TestService, TOKEN, UUID } from './testing/test-service.ts';

const RUNS = { numRuns: runs(300) };
/** Nobody but the other pod may read these. */
const SECRETS = [OTHER_TOKEN, 'of the other pod'];

describe('hostile clients', () => {
  let the: TestService;
  before(async () => {
    the = await TestService.start({
      patience: { headersMs: 300, requestMs: 600, idleMs: 600, keepAliveMs: 300 },
    });
    await the.register();
  });
  after(() => the[Symbol.asyncDispose]());
  afterEach('the service still answers', async () => {
    assert.deepEqual(
      the.log.filter((line) => line.includes('cannot answer')),
      [],
    );
    assert.equal((await the.get(`${PREFIX}/pod/uuid`)).body, UUID);
  });

  const harmless = (text: string): void => {
    for (const secret of SECRETS) assert.ok(!text.includes(secret), text);
    assert.doesNotMatch(text, /^HTTP\/1\.1 5/, text);
  };

  // Path elements that mean something, or nearly so, and any others.
  const element = fc.oneof(
    fc.constantFrom('pod', 'apps', 'web', 'annotations', 'manifest', 'image', 'id', 'uuid', 'hmac', 'sign'),
    fc.constantFrom('..', '.', '', '%2e%2e', '%2f', '%00', '%', '%ff', '__proto__', 'constructor', 'secret'),
    fc.constantFrom('acMetadata', 'v1', TOKEN, UUID, OTHER_UUID, 'pods'),
    fc.webSegment(),
  );
  const path = fc.array(element, { maxLength: 8 }).map((elements) => `/${elements.join('/')}`);
  const method = fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND');
  const form = fc
    .array(fc.tuple(fc.constantFrom('content', 'uuid', 'signature', 'x', ''), fc.string({ unit: 'binary' })))
    .map((pairs) =>
      pairs.map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`).join('&'),
    );

  it('read nothing of another pod, whatever the path', async () => {
    await fc.assert(
      fc.asyncProperty(method, fc.boolean(), path, async (verb, prefixed, rest) => {
        const got = await the.ask(verb, prefixed ? `${PREFIX}${rest}` : rest);
        assert.ok(got.status < 500, String(got.status));
        harmless(`${JSON.stringify(got.headers)}${got.body}`);
        // The other's name alone may come back in an error that repeats the path.
        if (got.status === 200) assert.ok(!got.body.includes(OTHER_UUID));
      }),
      RUNS,
    );
  });

  it('get 401 for all tokens but their own', async () => {
    const token = fc.oneof(
      fc.webSegment(),
      fc.stringMatching(/^[0-9a-f]{32}$/),
      fc.nat(TOKEN.length - 1).map((index) => TOKEN.slice(0, index)),
      fc
        .tuple(fc.nat(TOKEN.length - 1), fc.constantFrom(...'0123456789abcdef'))
        .map(([index, digit]) => TOKEN.slice(0, index) + digit + TOKEN.slice(index + 1)),
    );
    await fc.assert(
      fc.asyncProperty(
        token,
        fc.constantFrom(...POD_FIXTURE_PATHS),
        async (guess, { method: verb, path: rest }) => {
          fc.pre(guess !== TOKEN && guess !== OTHER_TOKEN);
          const { status } = await the.ask(verb, `/${guess}/acMetadata/v1${rest}`);
          assert.equal(status, 401);
        },
      ),
      RUNS,
    );
  });

  it('cannot break forms', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('sign', 'verify'),
        fc.oneof(form, fc.string({ unit: 'binary' }), fc.constant('&'.repeat(10_000))),
        fc.constantFrom('application/x-www-form-urlencoded', 'multipart/form-data', ''),
        async (what, body, type) => {
          const got = await the.ask('POST', `${PREFIX}/pod/hmac/${what}`, body, { 'Content-Type': type });
          assert.ok([200, 400, 403].includes(got.status), String(got.status));
          harmless(got.body);
        },
      ),
      RUNS,
    );
  });

  it('never make a signature for another pod', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1, maxLength: 64 }), async (content) => {
        const wellFormed = content.toWellFormed();
        const { body: signature } = await the.post(`${PREFIX}/pod/hmac/sign`, { content: wellFormed });
        const verify = async (uuid: string): Promise<number> =>
          (await the.post(`${PREFIX}/pod/hmac/verify`, { uuid, content: wellFormed, signature })).status;
        assert.deepEqual([await verify(UUID), await verify(OTHER_UUID)], [200, 403]);
      }),
      { numRuns: runs(50) },
    );
  });

  it('may send any header and any bytes', async () => {
    const header = fc.tuple(
      fc.constantFrom(
        'Host',
        'Content-Length',
        'Transfer-Encoding',
        'Connection',
        'Expect',
        'Upgrade',
        'X',
        ' ',
      ),
      fc.oneof(fc.constantFrom('chunked', '-1', '1e9', 'close', '100-continue', 'websocket'), fc.string()),
    );
    const request = fc
      .tuple(method, path, fc.array(header, { maxLength: 5 }), fc.string({ unit: 'binary', maxLength: 64 }))
      .map(([verb, rest, headers, body]) =>
        [`${verb} ${PREFIX}${rest} HTTP/1.1`, ...headers.map((pair) => pair.join(': ')), '', body].join(
          '\r\n',
        ),
      );
    await fc.assert(
      fc.asyncProperty(fc.oneof(request, fc.string({ unit: 'binary' })), async (text) => {
        // The last request ends the connection, unless the first already did.
        const bytes = `${text}\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
        harmless(await the.raw(Buffer.from(bytes, 'utf8')));
      }),
      { numRuns: runs(60) },
    );
  }).timeout(120_000);

  it('get 431 for a header that is too large', async () => {
    const got = await the.raw(
      `GET ${PREFIX}/pod/uuid HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    assert.match(got, /^HTTP\/1\.1 431 /);
  });

  it('get 413 for a body that is too large, in chunks too', async () => {
    const type = 'Content-Type: application/x-www-form-urlencoded';
    const head = `POST ${PREFIX}/pod/hmac/sign HTTP/1.1\r\nHost: x\r\n${type}\r\n`;
    assert.match(await the.raw(`${head}Content-Length: 99999999\r\n\r\ncontent=`), /^HTTP\/1\.1 413 /);
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
    assert.match(
      await the.raw(`${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(17)}`),
      /^HTTP\/1\.1 413 /,
    );
  });

  it('are hung up on when they are slow', async () => {
    // Neither the header, nor the body, nor a second request ever comes.
    assert.match(await the.raw('GET /'), /^(HTTP\/1\.1 408 |$)/);
    const head = `POST ${PREFIX}/pod/hmac/sign HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n`;
    assert.match(await the.raw(`${head}content`), /^(HTTP\/1\.1 408 |$)/);
    assert.match(await the.raw(`GET ${PREFIX}/pod/uuid HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 200 /);
    assert.match(await the.raw(''), /^(HTTP\/1\.1 408 |$)/);
  });

  it('may hang up in the middle', async () => {
    for (let count = 0; count < 20; count += 1) {
      await new Promise<void>((resolve) => {
        const socket = connect(the.port, '127.0.0.1', () => {
          socket.write(
            `POST ${PREFIX}/pod/hmac/sign HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\ncontent`,
            () => socket.resetAndDestroy(),
          );
        });
        socket.once('close', () => resolve());
      });
    }
  });
});

describe('forms', () => {
  it('give back the bytes that were escaped, the first of each name', () => {
    const bytes = fc.uint8Array({ maxLength: 64 });
    const escape = (value: Uint8Array): string =>
      [...value].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
    fc.assert(
      fc.property(bytes, bytes, (first, second) => {
        const form = parseForm(Buffer.from(`a=${escape(first)}&a=${escape(second)}&b=${escape(second)}`));
        assert.deepEqual(form.get('a'), Buffer.from(first));
        assert.deepEqual(form.get('b'), Buffer.from(second));
      }),
    );
  });
  it('are read like those of browsers where the text is text', () => {
    const name = fc.string({ minLength: 1 }).map((text) => text.toWellFormed());
    fc.assert(
      fc.property(fc.dictionary(name, name, { noNullPrototype: true }), (fields) => {
        const form = parseForm(Buffer.from(new URLSearchParams(fields).toString()));
        for (const [key, value] of Object.entries(fields)) {
          assert.equal(form.get(Buffer.from(key).toString('latin1'))?.toString('utf8'), value);
        }
      }),
    );
  });
  it('take any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => void parseForm(Buffer.from(bytes))));
  });
});
