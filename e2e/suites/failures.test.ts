// What becomes of a pod that cannot be run: the matrix of contract stage1 13.3, row by row, for every flavour.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { imageManifest } from '@rkt/testkit/manifests';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('failures of run', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    /** Runs, and expects the status and how many pods are left in `prepare` and in `run`. */
    const fails = async (
      status: number,
      [prepare, run]: readonly [prepare: number, run: number],
      message: RegExp,
      ...words: readonly string[]
    ): Promise<void> => {
      const net = words.some((word) => word.startsWith('--net=')) ? [] : flavour.net;
      const uuidFile = the.rkt.tmp.join('failed-uuid');
      rmSync(uuidFile, { force: true });
      const command = [INSECURE, 'run', ...flavour.stage1, ...net, `--uuid-file-save=${uuidFile}`, ...words];
      const result = expectStatus(await the.rkt.run(command), status);
      assert.match(result.output, message);
      assert.deepEqual([the.rkt.podsIn('prepare').length, the.rkt.podsIn('run').length], [prepare, run]);
      assert.equal(existsSync(uuidFile), prepare + run > 0, 'the UUID file is there when the pod is');
      if (!existsSync(uuidFile)) return;
      const { state } = await the.rkt.status(readFileSync(uuidFile, 'utf8'));
      assert.equal(state, prepare > 0 ? 'aborted prepare' : 'exited');
    };

    it('by flags or images leave no pod, and no file with its UUID: 254', async () => {
      await fails(254, [0, 0], /netname must not be empty/, '--net=:', image);
      await fails(254, [0, 0], /\/no\/such\.aci/, '/no/such.aci');
    });
    it('by the preparation leave an aborted prepare: 254', async () => {
      const noApp = writeImage(the.rkt, { manifest: imageManifest({ name: 'example.com/none' }), files: [] });
      await fails(254, [1, 0], /has no app section and --exec argument is not provided/, noApp);
    });
    it('by flags of names leave an exited pod: 254', () =>
      fails(254, [0, 1], /Invalid IP passed to --dns: nowhere/, '--dns=nowhere', image));
    it('by a manifest without apps leave an exited pod: 254', async () => {
      const file = the.rkt.tmp.join('no-apps.json');
      writeFileSync(
        file,
        JSON.stringify({ acVersion: '0.8.11', acKind: 'PodManifest', apps: [], volumes: [] }),
      );
      await fails(254, [0, 1], /pod must contain at least one application/, `--pod-manifest=${file}`);
    });
    for (const [what, message, ...flags] of [
      ['a user nobody knows', /"nobody-here" user not found/, '--user=nobody-here'],
      ['a program that is not found', /unable to find "nowhere" in/, '--exec=nowhere'],
    ] as const) {
      it(`by stage1 for ${what} leave an exited pod: 254`, () =>
        fails(254, [0, 1], message, image, ...flags));
    }
    it('by a volume without source leave an exited pod: 1 by nspawn, 254 by others', () =>
      fails(
        flavour.can.isolated ? 1 : 254,
        [0, 1],
        /\/no\/such\/place/,
        '--volume=v,kind=host,source=/no/such/place',
        image,
        '--mount=volume=v,target=/v',
      ));
    it('by the app have its status', () => fails(42, [0, 1], /^/, image, '--', '--exit-code=42'));
    it('by a program that cannot be executed: 203, and the reason', () =>
      fails(
        203,
        [0, 1],
        /Error: Unable to open "\/no such": No such file or directory/,
        image,
        '--exec=/no such',
      ));
  });

  forEachFlavour(['isolated'], (flavour) => {
    it('by a network leave an exited pod: 254', async () => {
      const command = [INSECURE, 'run', ...flavour.stage1, '--net=nowhere', image];
      await the.rkt.fails(command, /stage1: failed to setup network/);
      assert.equal(the.rkt.podsIn('run').length, 1);
    });
  });
});
