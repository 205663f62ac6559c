// The environment of apps (contract stage0 8.5, stage1 2.10).

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { suite } from '../lib/suite.ts';

suite('environment of apps', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });

  forEachFlavour([], (flavour) => {
    const inspect = async (options: readonly string[], flags: readonly string[] = []): Promise<string[]> => {
      const result = await the.rkt.ok(flavour.run(image, ...flags, '--', ...options));
      return flavour.linesOf(result);
    };

    describe('environment', () => {
      it("comes from the image, and flags win in the contract's order", async () => {
        writeFileSync(the.rkt.tmp.join('env'), '# c\n; c\n\nFROM=file\nFILE_ONLY=x = y\n');
        const flags = [`--set-env-file=${the.rkt.tmp.join('env')}`];
        assert.deepEqual(await inspect(['--print-env=VAR_FROM_MANIFEST']), ['VAR_FROM_MANIFEST=manifest']);
        const result = await the.rkt.ok(
          flavour.run(
            ...flags,
            '--set-env=FROM=flag',
            '--set-env=VAR_FROM_MANIFEST=flag',
            '--inherit-env',
            image,
            '--environment=FROM=app',
            '--environment=APP=app',
            '--',
            '--print-env=FROM',
            '--print-env=FILE_ONLY',
            '--print-env=VAR_FROM_MANIFEST',
            '--print-env=APP',
            '--print-env=CALLER',
            '--print-env=PATH',
          ),
          { env: { CALLER: 'me', FROM: 'caller', PATH: process.env['PATH'] } },
        );
        assert.deepEqual(flavour.linesOf(result), [
          'FROM=flag',
          'FILE_ONLY=x = y',
          'VAR_FROM_MANIFEST=flag',
          'APP=app',
          'CALLER=me',
          'PATH=/bin',
        ]);
      });
      it('does not reach the app from the caller', async () => {
        const result = await the.rkt.ok(flavour.run(image, '--', '--print-env=CALLER'), {
          env: { CALLER: 'me' },
        });
        assert.deepEqual(flavour.linesOf(result), ['CALLER=']);
      });
      it('has defaults', async () => {
        const result = await the.rkt.ok(
          flavour.run(
            writeImage(the.rkt, {
              manifest: inspectManifest([], { app: { environment: [] } }),
              files: inspectFiles(),
            }),
            '--',
            '--check-path',
            '--print-env=HOME',
            '--print-env=SHELL',
            '--print-env=USER',
            '--print-env=LOGNAME',
          ),
        );
        assert.deepEqual(flavour.linesOf(result), [
          'PATH is good',
          'HOME=/root',
          'SHELL=/bin/sh',
          'USER=root',
          'LOGNAME=root',
        ]);
      });
      it('keeps values to the letter', async () => {
        const values = [
          // Not at the end: journald takes blanks from the ends of lines.
          'with  space',
          ' lead',
          '"quoted"',
          "'single'",
          'back\\slash',
          '$HOME',
          '#hash',
          'a=b',
          '%n',
          'é',
          'tab\there',
          '',
          '\\n',
          'end\\',
        ];
        const flags = values.map((value, index) => `--set-env=V${index}=${value}`);
        const result = await the.rkt.ok(
          flavour.run(...flags, image, '--', ...values.map((_, index) => `--print-env=V${index}`)),
        );
        assert.deepEqual(
          flavour.linesOf(result),
          values.map((value, index) => `V${index}=${value}`),
        );
      });
      it('names the app', async function () {
        if (!flavour.can.appName) this.skip();
        const said = await inspect(['--print-env=AC_APP_NAME', '--print-env=container'], ['--name=my-app']);
        assert.deepEqual(said, ['AC_APP_NAME=my-app', 'container=rkt']);
      });
      it("holds nothing of rkt's own", async () => {
        const variables = (await inspect(['--print-environ'])).map((line) => line.replace(/=.*/, ''));
        const ours = variables.filter((name) => /^(RKT|LISTEN|NODE|LD|SYSTEMD|NOTIFY)/.test(name));
        assert.deepEqual(ours, []);
      });
      for (const [flag, message] of [
        ['--set-env=novalue', 'must be specified as key=value'],
        ['--set-env-file=/nonexistent', /nonexistent/],
      ] as const) {
        it(`refuses ${flag}`, () => the.rkt.fails(flavour.run(flag, image), message).then(() => undefined));
      }
      it('refuses one name twice', async () => {
        await the.rkt.fails(flavour.run('--set-env=A=1', '--set-env=A=2', image), 'key "A" already set');
        writeFileSync(the.rkt.tmp.join('bad-env'), 'A=1\nB\n');
        await the.rkt.fails(flavour.run(`--set-env-file=${the.rkt.tmp.join('bad-env')}`, image), /bad-env/);
      });
    });
  });
});
