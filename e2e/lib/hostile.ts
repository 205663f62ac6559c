// Images made to break out, and what may become of them. Runs in the mocha process.

import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { imageManifest } from '@rkt/testkit/manifests';
import type { RawHeader } from '@rkt/testkit/raw-tar';
import { rawArchive, rawEntry } from '@rkt/testkit/raw-tar';

import type { Result } from './process.ts';
import { FAILURE, INSECURE, Rkt } from './rkt.ts';
import { suite } from './suite.ts';

/** Manifest of hostile images, as text. */
export const MANIFEST: string = JSON.stringify(
  imageManifest({ name: 'example.com/hostile', exec: ['/bin/x'] }),
);

export const manifestEntry = (text: string | Uint8Array = MANIFEST): Buffer =>
  rawEntry({ name: 'manifest' }, text);
export const rootfsEntry = (): Buffer => rawEntry({ name: 'rootfs/', type: '5', mode: 0o755 });
export const file = (name: string, content = 'evil', fields: RawHeader = {}): Buffer =>
  rawEntry({ name, ...fields }, content);
export const symlink = (name: string, linkname: string): Buffer => rawEntry({ name, linkname, type: '2' });
export const hardlink = (name: string, linkname: string): Buffer => rawEntry({ name, linkname, type: '1' });
export const directory = (name: string): Buffer => rawEntry({ name, type: '5', mode: 0o755 });

/** An image of raw entries behind a good manifest. */
export const archive = (...entries: readonly Buffer[]): Buffer =>
  rawArchive([manifestEntry(), rootfsEntry(), ...entries]);

/** What the tests of a hostile suite use. */
export interface HostileFixture {
  readonly rkt: Rkt;
  /** A directory with the file `shadow`, beside the data directory: no image may touch it. */
  readonly victim: string;
  /** Writes bytes as an image file. */
  write(bytes: Uint8Array): string;
  /** Fetches and renders; gives the tree if both worked. Failures must be clean. */
  unpack(bytes: Uint8Array): Promise<string | undefined>;
  /** Expects that fetching or rendering refuses, saying `text`. */
  refused(bytes: Uint8Array, text?: RegExp | string): Promise<void>;
  /** Expects a result that worked or failed in one line, and no leftovers. */
  assertClean(result: Result): void;
}

/** Declares a suite of hostile images; each test starts with an empty store and ends with an untouched victim. */
export function hostileSuite(title: string, body: (the: HostileFixture) => void): void {
  suite(title, ['root'], () => {
    let rkt: Rkt;
    let victim = '';
    beforeEach(() => {
      rkt = new Rkt('hostile');
      victim = rkt.tmp.join('victim');
      mkdirSync(victim);
      writeFileSync(`${victim}/shadow`, 'secret');
    });
    afterEach(() => {
      assert.deepEqual(readdirSync(victim), ['shadow']);
      assert.equal(readFileSync(`${victim}/shadow`, 'utf8'), 'secret');
      const { mode, uid, nlink } = lstatSync(`${victim}/shadow`);
      assert.deepEqual([mode & 0o7777, uid, nlink], [0o644, 0, 1]);
      assert.deepEqual([lstatSync(victim).mode & 0o7777, lstatSync(victim).uid], [0o755, 0]);
      rkt.tmp.remove();
    });
    const write = (bytes: Uint8Array): string => {
      const path = rkt.tmp.join('hostile.aci');
      writeFileSync(path, bytes);
      return path;
    };
    const assertClean = (result: Result): void => {
      const { status, stderr } = result;
      assert.ok(status === 0 || status === FAILURE, `status ${status}: ${stderr}`);
      assert.ok(!stderr.includes('\x1b') && !stderr.includes('    at '), stderr);
      if (status !== 0) {
        assert.match(stderr, /^\w+: .+$/m);
        assert.ok(stderr.trimEnd().split('\n').length <= 3, stderr);
      }
      assert.deepEqual(entries(`${rkt.data}/cas/tmp`), [], 'scratch is empty');
      const trees = entries(`${rkt.data}/cas/tree`);
      assert.deepEqual(
        trees.filter((tree) => !existsSync(`${rkt.data}/cas/tree/${tree}/rendered`)),
        [],
        'no half trees',
      );
    };
    /** The last result, and the tree if all went well. */
    const attempt = async (bytes: Uint8Array): Promise<{ result: Result; out: string | undefined }> => {
      const out = rkt.tmp.join('out');
      rmSync(out, { recursive: true, force: true });
      const fetched = await rkt.run([INSECURE, 'fetch', '--full', write(bytes)], { timeoutMs: 150_000 });
      assertClean(fetched);
      if (fetched.status !== 0) return { result: fetched, out: undefined };
      const rendered = await rkt.run(['image', 'render', '--rootfs-only', fetched.stdout.trim(), out]);
      assertClean(rendered);
      if (rendered.status !== 0) assert.equal(existsSync(out), false, 'nothing half-written');
      return { result: rendered, out: rendered.status === 0 ? out : undefined };
    };
    body({
      get rkt() {
        return rkt;
      },
      get victim() {
        return victim;
      },
      write,
      assertClean,
      unpack: async (bytes) => (await attempt(bytes)).out,
      refused: async (bytes, text = /./) => {
        const { result } = await attempt(bytes);
        assert.equal(result.status, FAILURE, result.output);
        assert.ok(
          typeof text === 'string' ? result.output.includes(text) : text.test(result.output),
          result.output,
        );
      },
    });
  });
}

function entries(path: string): string[] {
  return existsSync(path) ? readdirSync(path) : [];
}
