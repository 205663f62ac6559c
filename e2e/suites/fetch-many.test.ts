// Several images at the same time, and several commands that want the same (contract stage0 4.4, 4.6).

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';

import { type BuiltAci, buildAci } from '@rkt/testkit/aci-builder';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';
import { imageManifest } from '@rkt/testkit/manifests';

import { list } from '../lib/cleanup.ts';
import { writeImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { requires } from '../lib/requires.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('fetch of several images', [], () => {
  let rkt: Rkt;
  let server: ImageServer;
  beforeEach(async () => {
    rkt = new Rkt('many');
    server = await startImageServer();
  });
  afterEach(async () => {
    await server.close();
    rkt.tmp.remove();
  });

  const image = (name: string, bytes = 20_000): BuiltAci =>
    buildAci({
      manifest: imageManifest({ name: `example.com/${name}` }),
      files: [{ path: 'data', content: randomBytes(bytes) }],
    });
  const keys = (stdout: string): string[] => stdout.trim().split('\n');

  it('downloads them at the same time and prints them in their order', async () => {
    const images = ['a', 'b', 'c'].map((name) => image(name));
    const urls = images.map((aci, index) =>
      // The first comes last: it is served only after the others were asked for.
      server.serve(`/${index}.aci`, {
        body: aci.bytes,
        ...(index === 0 && { bytesPerSecond: 20_000 }),
      }),
    );
    const running = rkt.start([INSECURE, 'fetch', '--full', ...urls]);
    await eventually('all are asked for', () => server.requests.length === 3);
    assert.ok(!running.isOver);
    const { stdout, stderr, status } = await running.ended;
    assert.equal(status, 0, stderr);
    assert.deepEqual(
      keys(stdout),
      images.map(({ key }) => key),
    );
    for (const name of ['0.aci', '1.aci', '2.aci']) {
      assert.match(stderr, new RegExp(`^Downloading ACI ${name}: [\\d.]+ KB/[\\d.]+ KB$`, 'm'));
    }
    assert.ok(!stderr.includes('\r'));
  });
  it('draws one bar each on a terminal', async function () {
    requires(this, 'program:script');
    const urls = ['a', 'b'].map((name, index) =>
      server.serve(`/${name}.aci`, { body: image(name).bytes, bytesPerSecond: 15_000 + 3000 * index }),
    );
    const { output, status } = await rkt.startOnTerminal([INSECURE, 'fetch', ...urls]).ended;
    assert.equal(status, 0, output);
    assert.match(output, /Downloading ACI a\.aci: \[=+.*\] .*\r?\nDownloading ACI b\.aci: \[=+.*\] /);
    assert.ok(output.includes('\u001B[1A'), 'the cursor goes back up');
    assert.equal(output.match(/^sha512-[0-9a-f]{32}\r?$/gm)?.length, 2, output);
  });
  it('keeps short and long forms', async () => {
    const aci = image('a');
    const url = server.serve('/a.aci', { body: aci.bytes });
    assert.equal((await rkt.ok([INSECURE, 'fetch', url])).stdout, `${aci.key.slice(0, 39)}\n`);
    assert.equal((await rkt.ok([INSECURE, 'fetch', '--full', url])).stdout, `${aci.key}\n`);
    assert.equal(aci.key.length, 71);
  });

  describe('when one fails', () => {
    it('prints what comes before, says why, and ends the rest', async () => {
      const [first, last] = [image('a'), image('b')];
      const urls = [
        server.serve('/a.aci', { body: first.bytes, bytesPerSecond: 40_000 }),
        server.serve('/none.aci', { status: 404 }),
        server.serve('/slow.aci', { body: last.bytes, stallAfter: 1000 }),
        server.serve('/gone.aci', { status: 500 }),
      ];
      const { status, stdout, stderr } = await rkt.run([INSECURE, 'fetch', '--full', ...urls]);
      assert.equal(status, 254);
      assert.deepEqual(keys(stdout), [first.key]);
      assert.match(stderr, /^fetch: .*bad HTTP status code: 404/m);
      assert.ok(!stderr.includes('500') && !stderr.includes('cancelled'), stderr);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
      const { stdout: listed } = await rkt.ok(['image', 'list', '--no-legend', '--fields=name']);
      assert.equal(listed.trim(), 'example.com/a:1.0.0');
    });
    it('takes the first failure in their order, not in time', async () => {
      const urls = [
        server.serve('/late.aci', { status: 401, delayMs: 500 }),
        server.serve('/soon.aci', { status: 404 }),
      ];
      const { stderr } = await rkt.run([INSECURE, 'fetch', ...urls]);
      assert.match(stderr, /bad HTTP status code: 401/);
      assert.equal(server.requests.length, 2);
    });
  });

  it('resolves names and dependencies as one after the other', async () => {
    const base = writeImage(rkt, { manifest: imageManifest({ name: 'example.com/base' }) });
    const top = writeImage(rkt, {
      manifest: imageManifest({
        name: 'example.com/top',
        dependencies: [{ imageName: 'example.com/base' }],
      }),
    });
    const flags = [INSECURE, 'fetch', '--full', '--pull-policy=new'];
    const { stdout } = await rkt.ok([...flags, base, top, 'example.com/base']);
    const [first, , third] = keys(stdout);
    assert.equal(first, third);
  });

  it('downloads an address once, however often it is given', async () => {
    const aci = image('a');
    const url = server.serve('/a.aci', { body: aci.bytes, bytesPerSecond: 40_000 });
    const { stdout } = await rkt.ok([INSECURE, 'fetch', '--full', url, url, url]);
    assert.deepEqual(keys(stdout), [aci.key, aci.key, aci.key]);
    assert.equal(server.requests.length, 1);
  });

  describe('by several commands', () => {
    const body = { ranges: 'partial', lastModified: 'Mon, 02 Jan 2006 15:04:05 MST' } as const;

    it('shares one download', async () => {
      const aci = image('a', 100_000);
      const url = server.serve('/a.aci', { body: aci.bytes, bytesPerSecond: 60_000 });
      const first = rkt.start([INSECURE, 'fetch', '--full', url]);
      await eventually('the first downloads', () => server.requests.length === 1);
      const others = [1, 2].map(() => rkt.start([INSECURE, 'fetch', '--full', url]));
      for (const other of others)
        await other.waitFor('another rkt instance is downloading this file, waiting...');
      for (const { ended } of [first, ...others]) {
        const { status, stdout, output } = await ended;
        assert.equal(status, 0, output);
        assert.equal(stdout.trim(), aci.key);
      }
      assert.equal(server.requests.length, 1);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
    });
    it('goes on by another when the one that downloads is killed', async () => {
      const aci = image('a', 100_000);
      const url = server.serve('/a.aci', { body: aci.bytes, ...body, bytesPerSecond: 20_000 });
      const first = rkt.start([INSECURE, 'fetch', '--full', url]);
      await first.waitFor(/Downloading ACI: /);
      const second = rkt.start([INSECURE, 'fetch', '--full', url], { timeoutMs: 90_000 });
      await second.waitFor('another rkt instance is downloading this file, waiting...');
      first.kill('SIGKILL');
      await first.ended;
      assert.ok(list(`${rkt.data}/cas/tmp`).some((name) => name.endsWith('.lease')));
      server.serve('/a.aci', { body: aci.bytes, ...body });
      const { status, stdout, output } = await second.ended;
      assert.equal(status, 0, output);
      assert.equal(stdout.trim(), aci.key);
      assert.match(server.requests.at(-1)?.headers.range ?? '', /^bytes=\d+-$/);
      assert.deepEqual(readdirSync(`${rkt.data}/cas/tmp`), []);
    });
    it('downloads for itself when the other one fails', async () => {
      const aci = image('a', 60_000);
      const url = server.serve('/a.aci', { body: aci.bytes, delayMs: 2000, cutAfter: 1000 });
      const first = rkt.start([INSECURE, '--debug', 'fetch', url]);
      await first.waitFor('fetching image from');
      const second = rkt.start([INSECURE, 'fetch', '--full', url]);
      await second.waitFor('another rkt instance is downloading this file, waiting...');
      server.serve('/a.aci', { body: aci.bytes });
      assert.equal((await first.ended).status, 254);
      const { status, stdout, output } = await second.ended;
      assert.equal(status, 0, output);
      assert.equal(stdout.trim(), aci.key);
      assert.equal(server.requests.length, 2);
    });
  });
});
