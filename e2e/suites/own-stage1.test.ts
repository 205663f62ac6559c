// A stage1 of one's own, by the very commands of docs/stage1-guide.md and docs/stage1-images.md: made, built, signed,
// trusted, run with verification, judged.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Clone } from '../lib/clone.ts';
import { BASE_ENVIRONMENT, RKT_BIN } from '../lib/environment.ts';
import { shellImage } from '../lib/images.ts';
import { type SigningKey, SigningKeys, trustKey } from '../lib/keys.ts';
import type { Requirement } from '../lib/requires.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const NAME = 'coreos.com/rkt/stage1-mine';

const PROGRAMS = ['npm', 'tcc', 'gpg', 'script'].map((name): Requirement => `program:${name}`);

suite("a stage1 of one's own", ['root', 'busybox', 'overlayfs', ...PROGRAMS], (the) => {
  describe('that was made from the example', function () {
    this.timeout(300_000);
    let keys: SigningKeys;
    let key: SigningKey;
    let clone: Clone;
    let stage1: string;
    let app: string;
    const run = (): string[] => ['run', `--stage1-image=${stage1}`, '--net=none', app];

    before(async () => {
      keys = new SigningKeys();
      key = keys.make('Release Builder <releases@example.com>');
      clone = new Clone(the.rkt.tmp.path);
      stage1 = join(clone.path, 'dist/stage1-mine.aci');
      app = shellImage(the.rkt, 'echo "on my stage1"; exit 7', { name: 'example.com/app' });
      key.signFile(app);
      await trustKey(the.rkt, key, 'example.com/app');
      await clone.run(['npm', 'run', 'new-stage1', '--', 'mine']);
      await clone.run(['npm', 'install']);
    });
    after(() => {
      clone?.[Symbol.dispose]();
      keys?.[Symbol.dispose]();
    });

    it('is built with a description, a bill of materials and a signature', async () => {
      await clone.run(['npx', 'nx', 'run', 'stage1-mine:build'], {
        GNUPGHOME: keys.home,
        RKT_SIGNING_KEY: 'releases@example.com',
      });
      const described = JSON.parse(readFileSync(stage1.replace('.aci', '.json'), 'utf8')) as { name: string };
      assert.equal(described.name, NAME);
      assert.ok(existsSync(stage1.replace('.aci', '.cdx.json')));
      assert.match(readFileSync(`${stage1}.asc`, 'utf8'), /^-----BEGIN PGP SIGNATURE-----$/m);
    });
    it('is refused while nobody has trusted the key', async () => {
      await the.rkt.fails(
        run(),
        /signature made by unknown entity .*rkt trust --prefix "coreos\.com\/rkt\/stage1-mine"/,
      );
    });
    it('runs an app, verified, once somebody has, on a terminal', async () => {
      const file = the.rkt.tmp.join('key.gpg');
      writeFileSync(file, key.publicKey);
      const trusting = the.rkt.startOnTerminal(['trust', `--prefix=${NAME}`, file]);
      await trusting.waitFor('(yes/no)?');
      trusting.write('yes\n');
      expectStatus(await trusting.ended, 0);

      const result = expectStatus(await the.rkt.run(run(), { timeoutMs: 120_000 }), 7);
      assert.equal(result.stdout, 'on my stage1\n');
      assert.equal(result.stderr.match(/^image: signature verified:$/gm)?.length, 2, result.stderr);
    });
    it('is refused with the signature of something else, and by a key for other names', async () => {
      const right = readFileSync(`${stage1}.asc`);
      key.signFile(app, `${stage1}.asc`);
      await the.rkt.fails(run(), 'openpgp: signed digest did not match');
      const stranger = keys.make('Stranger <stranger@example.com>');
      await trustKey(the.rkt, stranger, 'example.com/app');
      stranger.signFile(stage1, `${stage1}.asc`);
      await the.rkt.fails(run(), 'signature made by unknown entity');
      writeFileSync(`${stage1}.asc`, right);
      expectStatus(await the.rkt.run(run()), 7);
    });
    it('has no signature when it was built without a key, and is refused then', async () => {
      await clone.run(['npx', 'nx', 'run', 'stage1-mine:build']);
      assert.equal(existsSync(`${stage1}.asc`), false);
      await the.rkt.fails(
        run(),
        /stage1-mine\.aci\.asc: no such file or directory .*--insecure-options=image/,
      );
      assert.deepEqual(the.rkt.podsIn('prepare'), []);
    });
    it('is judged by the conformance suite', async () => {
      const command = ['npm', 'run', 'conformance', '--', 'packages/stage1-mine/abilities.json'] as const;
      const { stdout } = await clone.run([...command, '-g', 'exitStatus|severalApps'], {
        ...BASE_ENVIRONMENT,
        RKT_BIN,
        RKT_STAGE1_DIR: join(clone.path, 'dist'),
      });
      assert.match(stdout, /^\| +\| mine +\|$/m);
      assert.match(stdout, /^\| the app's exit status is the command's +\| yes +\|$/m);
      assert.match(stdout, /^\| several apps in a pod.* \| refused \(\d+\) +\|$/m);
      assert.match(stdout, /^\| AC_APP_NAME +\| not checked +\|$/m);
    });
  });
});
