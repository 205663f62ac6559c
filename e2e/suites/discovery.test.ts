// Images by name: discovery, policies, dependencies, signatures (contract stage0 4.3-4.5, 4.7, 4.8, 11.9).

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';

import { type BuiltAci, buildAci } from '@rkt/testkit/aci-builder';
import { GpgHome } from '@rkt/testkit/gpg-keys';
import type { ImageServer } from '@rkt/testkit/image-server';
import { imageArch, imageManifest, type ManifestOptions } from '@rkt/testkit/manifests';

import type { Result, StartOptions } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { discoveryPage, Sites } from '../lib/sites.ts';
import { suite } from '../lib/suite.ts';

const HOST = 'images.example.com';
const FULL = 'https://images.example.com/{os}/{arch}/{name}-{version}.{ext}';
const FILES = `https://${HOST}/files/{name}.{ext}`;
const ARCH = imageArch();

suite('discovery', ['root', 'program:openssl'], () => {
  describe('of images', () => {
    let rkt: Rkt;
    let sites: Sites;
    let server: ImageServer;
    before(() => {
      sites = new Sites('127.77.3.1', [HOST, 'example.com']);
    });
    after(() => sites[Symbol.asyncDispose]());
    beforeEach(async () => {
      rkt = new Rkt('discovery');
      server = await sites.secure({ names: [HOST, 'example.com'] });
    });
    afterEach(async () => {
      await sites.closeServers();
      rkt.tmp.remove();
    });

    const image = (options: ManifestOptions = {}): BuiltAci =>
      buildAci({
        manifest: imageManifest({ name: 'example.com/a/b', ...options }),
        files: [{ path: 'file', content: JSON.stringify(options) }],
      });
    const template = (path: string, ...contents: readonly string[]): void => {
      const tags = contents.map((content) => ['ac-discovery', content] as const);
      server.serve(path, { body: discoveryPage(...tags), contentType: 'text/html' });
    };
    const run = (args: readonly string[], options: StartOptions = {}): Promise<Result> =>
      rkt.run(['--debug', ...args], { ...options, env: { ...sites.env, ...options.env } });
    const fetched = async (...args: readonly string[]): Promise<Result> => {
      const result = await run([INSECURE, 'fetch', '--full', ...args]);
      assert.equal(result.status, 0, result.output);
      return result;
    };
    const failed = async (text: string | RegExp, ...args: readonly string[]): Promise<Result> => {
      const result = await run([INSECURE, 'fetch', ...args]);
      assert.equal(result.status, 254, result.output);
      const found = typeof text === 'string' ? result.stderr.includes(text) : text.test(result.stderr);
      assert.ok(found, `${String(text)} in:\n${result.stderr}`);
      return result;
    };
    const asked = (): string[] => server.requests.map(({ host, url }) => `${host}${url}`);

    it('walks from the whole name to the host, and fills in the template', async () => {
      const aci = image();
      template('//example.com/', `example.com ${FULL}`);
      server.serve(`/linux/${ARCH}/example.com/a/b-1.0.0.aci`, { body: aci.bytes });
      const { stdout, stderr } = await fetched('example.com/a/b:1.0.0');
      assert.equal(stdout, `${aci.key}\n`);
      assert.deepEqual(asked(), [
        'example.com/a/b?ac-discovery=1',
        'example.com/a?ac-discovery=1',
        'example.com/?ac-discovery=1',
        `${HOST}/linux/${ARCH}/example.com/a/b-1.0.0.aci`,
      ]);
      assert.ok(stderr.includes('image: searching for app image example.com/a/b:1.0.0'), stderr);
      assert.ok(
        stderr.includes(`image: fetching image from https://${HOST}/linux/${ARCH}/example.com/a/b-1.0.0.aci`),
        stderr,
      );
      assert.ok(stderr.includes("image: meta tag 'ac-discovery' not found on example.com/a/b\n"), stderr);
    });
    it('stops at the first prefix with an endpoint, and takes the first of it', async () => {
      const aci = image();
      template(
        '//example.com/a',
        `example.com/a ${FILES}`,
        `example.com https://${HOST}/second/{name}.{ext}`,
      );
      template('//example.com/', `example.com https://${HOST}/third/{name}.{ext}`);
      server.serve('/second/example.com/a/b.aci', { body: aci.bytes });
      await failed('bad HTTP status code: 404', 'example.com/a/b');
      server.serve('/files/example.com/a/b.aci', { body: aci.bytes });
      assert.equal((await fetched('example.com/a/b')).stdout.trim(), aci.key);
      assert.ok(!asked().some((url) => url.includes('/second/') || url === 'example.com/?ac-discovery=1'));
    });
    it('skips tags of other names, without template, with unknown labels', async () => {
      const aci = image({ labels: { channel: 'beta' } });
      template(
        '//example.com/a/b',
        `example.com/other https://${HOST}/other/{name}.{ext}`,
        'example.com',
        `example.com https://${HOST}/{flavor}/{name}.{ext}`,
        `example.com https://${HOST}/{channel}/{name}.{ext}`,
      );
      server.serve('/beta/example.com/a/b.aci', { body: aci.bytes });
      assert.equal((await fetched('example.com/a/b,channel=beta')).stdout.trim(), aci.key);
      await failed('discovery failed for "example.com/a/b"', 'example.com/a/b');
    });
    it('fails by name, and says where it looked', async () => {
      const result = await failed(/^ +└─discovery failed: /m, 'example.com/a/b:1');
      assert.match(result.stderr, /unable to fetch.* image from .* "example\.com\/a\/b:1"/);
      assert.ok(result.stderr.includes('expected a 200 OK got 404'), result.stderr);
      const plain = await rkt.run([INSECURE, 'fetch', 'example.com/a/b:1'], { env: sites.env });
      assert.match(plain.stderr, /^fetch: unable to fetch image from .*: discovery failed: .*example\.com/);
      assert.equal(plain.stderr.trim().split('\n').length, 1);
    });
    it('refuses an os or arch that rkt does not run', async () => {
      await failed('bad os "freebsd"', 'example.com/a/b,os=freebsd');
      await failed(/bad arch "m68k"/, 'example.com/a/b,os=linux,arch=m68k');
      assert.deepEqual(asked(), []);
    });
    it('follows redirects of pages', async () => {
      const aci = image();
      server.serve('//example.com/a/b', { redirect: `https://${HOST}/page` });
      template('/page', `example.com ${FILES}`);
      server.serve('/files/example.com/a/b.aci', { body: aci.bytes });
      assert.equal((await fetched('example.com/a/b')).stdout.trim(), aci.key);
    });

    describe('over plain http', () => {
      let plain: ImageServer;
      beforeEach(async () => {
        plain = await sites.plain();
        plain.serve('//example.com/a/b', { body: discoveryPage(['ac-discovery', `example.com ${FILES}`]) });
        server.serve('/files/example.com/a/b.aci', { body: image().bytes });
      });
      it('does not happen by itself', async () => {
        await failed('discovery failed', 'example.com/a/b');
        assert.deepEqual(plain.requests, []);
      });
      it('happens behind https where http may be insecure', async () => {
        const result = await run(['--insecure-options=image,http', 'fetch', 'example.com/a/b']);
        assert.equal(result.status, 0, result.output);
        assert.deepEqual(asked().slice(0, 1), ['example.com/a/b?ac-discovery=1']);
        assert.equal(plain.requests[0]?.url, '/a/b?ac-discovery=1');
      });
    });

    it('verifies the server of a page, unless tls is insecure', async () => {
      template('//example.com/a/b', `example.com ${FILES}`);
      server.serve('/files/example.com/a/b.aci', { body: image().bytes });
      const stranger = await run([INSECURE, 'fetch', 'example.com/a/b'], {
        env: { SSL_CERT_FILE: '/nonexistent' },
      });
      assert.equal(stranger.status, 254);
      assert.match(stranger.stderr, /https:\/\/example\.com\/.*unknown authority/);
      const insecure = await run(['--insecure-options=image,tls', 'fetch', 'example.com/a/b'], {
        env: { SSL_CERT_FILE: '/nonexistent' },
      });
      assert.equal(insecure.status, 0, insecure.output);
    });

    describe('on hostile pages', () => {
      const hostile: readonly (readonly [what: string, body: string, text: string | RegExp])[] = [
        ['without meta tags', '<html>hello</html>', 'no meta tag "ac-discovery"'],
        [
          'with the tag in a comment',
          `<!-- ${discoveryPage(['ac-discovery', `example.com ${FILES}`])} -->`,
          'no meta tag "ac-discovery"',
        ],
        [
          'with a template of javascript',
          discoveryPage(['ac-discovery', 'example.com javascript:alert({name})']),
          'bad URL scheme, must be http/https',
        ],
        [
          'with a template of a file',
          discoveryPage(['ac-discovery', 'example.com file:///etc/{name}.{ext}']),
          'bad URL scheme, must be http/https',
        ],
        [
          'with a template that is no address',
          discoveryPage(['ac-discovery', 'example.com \u001B[31m{name}']),
          'bad URL scheme, must be http/https',
        ],
        ['that are too large', 'x'.repeat(3_000_000), 'is larger than 1048576 bytes'],
      ];
      for (const [what, body, text] of hostile) {
        it(what, async () => {
          server.serve('//example.com/a/b', { body, contentType: 'text/html' });
          server.serve('//example.com/a', { body });
          server.serve('//example.com/', { body });
          const { stderr, stdout } = await failed(text, 'example.com/a/b');
          assert.equal(stdout, '');
          assert.ok(!stderr.includes('\u001B'));
        });
      }
      it('without an end', async () => {
        const page = { body: '<meta name="x" content="y">'.repeat(1000), endless: true };
        for (const path of ['//example.com/a/b', '//example.com/a', '//example.com/'])
          server.serve(path, page);
        await failed('is larger than 1048576 bytes', 'example.com/a/b');
      });
    });

    describe('and the store', () => {
      beforeEach(() => template('//example.com/', `example.com ${FILES}`));
      const serve = (name: string, options: ManifestOptions = {}): BuiltAci => {
        const aci = image({ name: `example.com/${name}`, ...options });
        server.serve(`/files/example.com/${name}.aci`, { body: aci.bytes, etag: aci.key });
        return aci;
      };

      it('new takes the stored image, update asks, never does not', async () => {
        const aci = serve('c');
        await failed(
          'unable to fetch image from image name "example.com/c"',
          '--pull-policy=never',
          'example.com/c',
        );
        assert.deepEqual(asked(), []);
        await fetched('--pull-policy=new', 'example.com/c');
        const count = asked().length;
        for (const flag of ['--pull-policy=new', '--pull-policy=never', '--store-only']) {
          const { stdout, stderr } = await fetched(flag, 'example.com/c');
          assert.equal(stdout.trim(), aci.key);
          assert.ok(
            stderr.includes('image: using image from local store for image name example.com/c\n'),
            stderr,
          );
        }
        assert.equal(asked().length, count);
        await fetched('example.com/c');
        assert.equal(server.requests.at(-1)?.status, 304);
        const other = serve('c', { version: '2.0.0' });
        assert.equal((await fetched('--no-store', 'example.com/c')).stdout.trim(), other.key);
      });
      it('marks what came without a version as the latest', async () => {
        const latest = serve('c', { version: '2.0.0' });
        await fetched('example.com/c');
        const older = serve('c', { version: '1.0.0' });
        await fetched('example.com/c:1.0.0');
        assert.equal((await fetched('--pull-policy=never', 'example.com/c')).stdout.trim(), latest.key);
        assert.equal((await fetched('--pull-policy=never', 'example.com/c:1.0.0')).stdout.trim(), older.key);
      });
      it('fetches dependencies breadth first, from the store where they are', async () => {
        const names = (...list: readonly string[]): { dependencies: { imageName: string }[] } => ({
          dependencies: list.map((name) => ({ imageName: `example.com/${name}` })),
        });
        serve('a', names('b', 'c'));
        const b = rkt.tmp.join('b.aci');
        writeFileSync(b, image({ name: 'example.com/b', ...names('base') }).bytes);
        serve('c', names('d'));
        serve('d', names('base'));
        const base = rkt.tmp.join('base.aci');
        writeFileSync(base, image({ name: 'example.com/base' }).bytes);
        await fetched('--pull-policy=new', base, b);
        const { stderr } = await fetched('--pull-policy=new', 'example.com/a');
        const platform = `,os=linux,arch=${ARCH}`;
        const lines = stderr
          .split('\n')
          .filter((line) => /searching for app|from local store/.test(line))
          .map((line) => line.replace(/^image: (?:using image )?|image (?:name )?/g, ''));
        assert.deepEqual(lines, [
          'searching for app example.com/a',
          `from local store for example.com/b${platform}`,
          `searching for app example.com/c${platform}`,
          `from local store for example.com/base${platform}`,
          `searching for app example.com/d${platform}`,
        ]);
        assert.equal(readdirSync(`${rkt.data}/cas/tree`).length, 3);
      });
      it('refuses a circle of dependencies, and does not go round in it', async () => {
        serve('a', { dependencies: [{ imageName: 'example.com/b' }] });
        serve('b', { dependencies: [{ imageName: 'example.com/a' }] });
        await failed(/dependency cycle: /, 'example.com/a');
        assert.equal(server.requestsOf('/files/example.com/b.aci').length, 1);
      });
      it('asks for dependencies again when it updates', async () => {
        serve('a', { dependencies: [{ imageName: 'example.com/b' }] });
        serve('b');
        await fetched('example.com/a');
        await fetched('example.com/a');
        assert.deepEqual(
          server.requestsOf('/files/example.com/b.aci').map(({ status }) => status),
          [200, 304],
        );
        const broken = serve('e', { dependencies: [{ imageName: 'example.com/none' }] });
        await failed(/cannot fetch dependency "example\.com\/none/, 'example.com/e');
        assert.ok(broken.key.length > 0);
      });
    });

    describe('with signatures', () => {
      let gpg: GpgHome;
      let key = '';
      before(function () {
        requires(this, 'program:gpg');
        gpg = new GpgHome();
        key = gpg.makeKey('Publisher <publisher@example.com>');
      });
      after(() => gpg?.[Symbol.dispose]());
      beforeEach(() => template('//example.com/', `example.com ${FILES}`));

      const trust = (prefix: string): void => {
        const directory = `${rkt.localConfig}/trustedkeys/prefix.d/${prefix}`;
        mkdirSync(directory, { recursive: true, mode: 0o755 });
        writeFileSync(`${directory}/${key.toLowerCase()}`, gpg.exportKey(key), { mode: 0o644 });
      };
      const serveSigned = (name: string, aci: BuiltAci, extra: object = {}): void => {
        server.serve(`/files/example.com/${name}.aci`, { body: aci.bytes, ...extra });
        server.serve(`/files/example.com/${name}.aci.asc`, { body: gpg.sign(aci.bytes, key), ...extra });
      };
      const verified = (...args: readonly string[]): Promise<Result> => run(['fetch', '--full', ...args]);
      const refused = async (text: string | RegExp, ...args: readonly string[]): Promise<Result> => {
        const result = await verified(...args);
        assert.equal(result.status, 254, result.output);
        assert.ok(
          typeof text === 'string' ? result.stderr.includes(text) : text.test(result.stderr),
          result.stderr,
        );
        assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout.trim(), '');
        return result;
      };

      it('takes an image whose signer is trusted for its name', async () => {
        trust('example.com');
        const aci = image();
        serveSigned('a/b', aci);
        const { status, stdout, output, stderr } = await verified('example.com/a/b:1.0.0');
        assert.equal(status, 0, output);
        assert.equal(stdout.trim(), aci.key);
        assert.match(stderr, /^image: signature verified:\n {2}Publisher <publisher@example\.com>$/m);
        assert.ok(
          stderr.includes(`image: downloading signature from https://${HOST}/files/example.com/a/b.aci.asc`),
        );
        assert.ok(
          stderr.includes('keys already exist for prefix "example.com/a/b", not fetching again'),
          stderr,
        );
      });
      it('does not download what a stranger signed', async () => {
        trust('example.com/other');
        serveSigned('a/b', image());
        const { stderr } = await refused('openpgp: signature made by unknown entity', 'example.com/a/b');
        assert.ok(!asked().some((url) => url.endsWith('.aci')), stderr);
        const plain = await rkt.run(['fetch', 'example.com/a/b'], { env: sites.env });
        assert.match(plain.stderr, /rkt trust --prefix "example\.com\/a\/b"/);
      });
      it('downloads nothing without a signature', async () => {
        trust('example.com');
        server.serve('/files/example.com/a/b.aci', { body: image().bytes });
        await refused('error downloading the signature file', 'example.com/a/b');
        assert.ok(!asked().some((url) => url.endsWith('.aci')));
      });
      it('refuses an image that is not the one that was signed', async () => {
        trust('example.com');
        serveSigned('a/b', image());
        server.serve('/files/example.com/a/b.aci', { body: image({ version: '6.6.6' }).bytes });
        await refused(/openpgp: /, 'example.com/a/b');
      });
      it('refuses an image of another name', async () => {
        trust('example.com');
        serveSigned('a/b', image({ name: 'example.com/other' }));
        await refused(
          'error when reading the app name: "example.com/a/b" expected but "example.com/other" found',
          'example.com/a/b',
        );
      });
      it('refuses an image with other labels', async () => {
        trust('example.com');
        serveSigned('a/b', image({ labels: { arch: undefined, os: undefined } }));
        await refused(/requested label "(os|arch)" not provided by the image manifest/, 'example.com/a/b');
        serveSigned('a/b', image());
        await refused(
          'requested value for label "version": "2.0.0" differs from fetched aci label value: "1.0.0"',
          'example.com/a/b:2.0.0',
        );
      });
      it('asks again for a signature that was deferred until the image was asked for', async () => {
        trust('example.com');
        const aci = image();
        serveSigned('a/b', aci);
        const path = '/files/example.com/a/b.aci.asc';
        const signature = gpg.sign(aci.bytes, key);
        server.serve(path, { body: signature, defer: '/files/example.com/a/b.aci' });
        const { status, output, stderr } = await verified('example.com/a/b');
        assert.equal(status, 0, output);
        assert.ok(stderr.includes('server requested deferring the signature download'), stderr);
        assert.deepEqual(
          server.requestsOf(path).map((seen) => seen.status),
          [202, 200],
        );
      });
      it('gives up on a signature that is deferred again', async () => {
        trust('example.com');
        serveSigned('a/b', image());
        server.serve('/files/example.com/a/b.aci.asc', { body: 'x', defer: 5 });
        await refused('error downloading the signature file', 'example.com/a/b');
      });
      it('gives back cookies of the signature with the image', async () => {
        trust('example.com');
        const aci = image();
        const path = '/files/example.com/a/b.aci';
        server.serve(`${path}.asc`, { body: gpg.sign(aci.bytes, key), setCookie: ['session=7; Path=/'] });
        server.serve(path, { body: aci.bytes, cookie: 'session=7' });
        const { status, output } = await verified('example.com/a/b');
        assert.equal(status, 0, output);
      });
      it('trusts keys of the site when told to', async () => {
        const aci = image();
        serveSigned('a/b', aci);
        server.serve('//example.com/a/b', {
          body: discoveryPage(
            ['ac-discovery', `example.com ${FILES}`],
            ['ac-discovery-pubkeys', `example.com https://${HOST}/pubkeys.gpg`],
          ),
        });
        server.serve('/pubkeys.gpg', { body: gpg.exportKey(key) });
        const result = await run(['--trust-keys-from-https', 'fetch', 'example.com/a/b']);
        assert.equal(result.status, 0, result.output);
        assert.ok(result.output.includes('Added key for prefix "example.com/a/b" at'), result.output);
      });
      it('warns when servers are not verified', async () => {
        trust('example.com');
        serveSigned('a/b', image());
        const result = await run(['--insecure-options=tls', 'fetch', 'example.com/a/b'], {
          env: { SSL_CERT_FILE: '/nonexistent' },
        });
        assert.equal(result.status, 0, result.output);
        assert.ok(result.stderr.includes('warning: TLS verification has been disabled'), result.stderr);
      });
    });
  });
});
