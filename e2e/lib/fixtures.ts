// What suites of one kind share: a fresh store per test, or pods with a stage1 of shell scripts. Runs in the mocha
// process.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { STUB_RUN_FOREVER, STUB_STOP } from '@rkt/testkit/stub-stage1';

import { stubFlag, tinyImage } from './images.ts';
import type { Running } from './process.ts';
import type { Requirement } from './requires.ts';
import { INSECURE, Rkt } from './rkt.ts';
import { suite } from './suite.ts';

/** One image of `rkt image list --format=json`. */
export interface ImageRow {
  readonly id: string;
  readonly name: string;
  readonly import_time: number;
  readonly last_used_time: number;
  readonly size: number;
}

/** One pod of `rkt list --format=json`. */
export interface PodJson {
  readonly name: string;
  readonly state: string;
  readonly networks?: readonly { readonly netName: string; readonly ip: string }[];
  readonly app_names?: readonly string[];
  readonly apps?: readonly PodAppJson[];
  readonly created_at?: number;
  readonly started_at?: number;
}

/** One app of a pod. */
export interface PodAppJson {
  readonly name: string;
  readonly state: string;
  readonly exit_code?: number;
  readonly image_id: string;
}

/** What the tests of a store suite use. */
export interface StoreFixture {
  /** The test's own rkt, with an empty store. */
  readonly rkt: Rkt;
  /** Images of the store. */
  rows(...flags: readonly string[]): Promise<ImageRow[]>;
  /** A tiny image called example.com/NAME. */
  image(name: string, version?: string): string;
}

/** Declares a suite whose tests each start with an empty store. */
export function storeSuite(
  title: string,
  needs: readonly Requirement[],
  body: (the: StoreFixture) => void,
): void {
  suite(title, needs, () => {
    let rkt: Rkt | undefined;
    const current = (): Rkt => {
      assert.ok(rkt !== undefined, 'the test runs');
      return rkt;
    };
    beforeEach(() => {
      rkt = new Rkt('store');
    });
    afterEach(() => rkt?.tmp.remove());
    body({
      get rkt() {
        return current();
      },
      rows: async (...flags) => {
        const { stdout } = await current().ok(['image', 'list', '--format=json', ...flags]);
        return (JSON.parse(stdout) as ImageRow[] | null) ?? [];
      },
      image: (name, version = '1.0.0') => tinyImage(current(), { name: `example.com/${name}`, version }),
    });
  });
}

/** What the tests of a pod suite use. */
export interface PodFixture {
  readonly rkt: Rkt;
  /** Flag of a stage1 whose pods end at once. */
  readonly stub: string;
  /** Flag of a stage1 whose pods stay until they are stopped. */
  readonly forever: string;
  /** An image with one app, `tiny`. */
  readonly image: string;
  /** Prepares a pod of the image and the first stub. */
  prepare(...flags: readonly string[]): Promise<string>;
  /** A pod that stays. */
  runForever(): Promise<{ readonly running: Running; readonly uuid: string }>;
  state(uuid: string): Promise<string>;
  listed(...flags: readonly string[]): Promise<PodJson[]>;
}

/** Declares a suite about pods as stage0 sees them; stage1 is shell scripts on the host. */
export function podSuite(
  title: string,
  needs: readonly Requirement[],
  body: (the: PodFixture) => void,
): void {
  suite(title, ['root', ...needs], (the) => {
    let stub = '';
    let forever = '';
    let image = '';
    before(() => {
      stub = stubFlag(the.rkt);
      forever = stubFlag(the.rkt, { run: STUB_RUN_FOREVER, stop: STUB_STOP });
      image = tinyImage(the.rkt, { exec: ['/bin/x'] });
    });
    body({
      get rkt() {
        return the.rkt;
      },
      get stub() {
        return stub;
      },
      get forever() {
        return forever;
      },
      get image() {
        return image;
      },
      prepare: (...flags) => the.rkt.prepare([stub, image, ...flags]),
      runForever: async () => {
        const uuidFile = the.rkt.tmp.join('forever-uuid');
        const running = the.rkt.start([
          INSECURE,
          'run',
          forever,
          '--net=host',
          `--uuid-file-save=${uuidFile}`,
          image,
        ]);
        await running.waitFor('stub: running');
        return { running, uuid: readFileSync(uuidFile, 'utf8') };
      },
      state: async (uuid) => (await the.rkt.status(uuid))['state'] ?? '',
      listed: async (...flags) => {
        const { stdout } = await the.rkt.ok(['list', '--format=json', ...flags]);
        return (JSON.parse(stdout) as PodJson[] | null) ?? [];
      },
    });
  });
}
