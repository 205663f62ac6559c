// Duties of an App Container Executor (contract stage1 9.1), and what the appc standard's validator looks at (9.2): a
// main app and a sidekick in one pod judge the executor from inside. The metadata service is not part of it.

import assert from 'node:assert/strict';

import type { AciFile } from '@rkt/testkit/aci-builder';
import { minimalImage } from '@rkt/testkit/debian-image';
import { inspectFiles } from '@rkt/testkit/inspect';
import { imageManifest } from '@rkt/testkit/manifests';

import { forEachFlavour, lines } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import { expectStatus, UUID_PATTERN } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

/** Checks of each mode in the order of the standard's validator; the first that fails is named. */
const VALIDATOR = `#!/bin/busybox sh
failed=
check() { what=$1; shift; "$@" || { echo "==> $what" >&2; failed=yes; }; }
absent() { [ ! -e "$1" ]; }
appears() { n=0; while [ ! -e "$1" ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done; [ -e "$1" ]; }
writable_mount() { grep -q " $1 rw[, ]" /proc/self/mountinfo; }
is() { [ "$1" = "$2" ]; }
case $1 in
prestart)
  check '/prestart is there' absent /prestart
  : > /prestart
  check '/main is there' absent /main
  check '/poststop is there' absent /poststop ;;
main)
  check 'no /prestart' test -e /prestart
  check '/main is there' absent /main
  : > /main
  check '/poststop is there' absent /poststop
  check "PATH is $PATH" is "$PATH" /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  check "working directory is $PWD" is "$(pwd)" /opt/acvalidator
  check "IN_ACE_VALIDATOR is $IN_ACE_VALIDATOR" is "$IN_ACE_VALIDATOR" correct
  check '/db is no writable mount' writable_mount /db
  check "AC_APP_NAME is $AC_APP_NAME" is "$AC_APP_NAME" ace-validator-main
  check 'no /db/sidekick' appears /db/sidekick
  check '/db/main is there' absent /db/main
  : > /db/main ;;
sidekick)
  check '/db/sidekick is there' absent /db/sidekick
  : > /db/sidekick
  check 'no /db/main' appears /db/main ;;
poststop)
  check 'no /prestart' test -e /prestart
  check 'no /main' test -e /main
  check '/poststop is there' absent /poststop
  : > /poststop ;;
esac
if [ -n "$failed" ]; then echo "$1 FAIL"; exit 1; fi
echo "$1 OK"
`;

suite('App Container Executor', ['root', 'busybox'], (the) => {
  const program: AciFile = { path: 'ace-validator', mode: 0o755, content: VALIDATOR };
  const mountPoints = [{ name: 'database', path: '/db', readOnly: false }];
  let main = '';
  let sidekick = '';
  before(() => {
    const files = [...inspectFiles(), program, { path: 'opt/acvalidator/' }];
    main = writeImage(the.rkt, {
      manifest: imageManifest({
        name: 'coreos.com/ace-validator-main',
        exec: ['/ace-validator', 'main'],
        app: {
          eventHandlers: [
            { name: 'pre-start', exec: ['/ace-validator', 'prestart'] },
            { name: 'post-stop', exec: ['/ace-validator', 'poststop'] },
          ],
          workingDirectory: '/opt/acvalidator',
          environment: [{ name: 'IN_ACE_VALIDATOR', value: 'correct' }],
          mountPoints,
          ports: [{ name: 'www', protocol: 'tcp', port: 80 }],
          isolators: [{ name: 'resource/memory', value: { limit: '1G' } }],
        },
      }),
      files,
    });
    sidekick = writeImage(the.rkt, {
      manifest: imageManifest({
        name: 'coreos.com/ace-validator-sidekick',
        exec: ['/ace-validator', 'sidekick'],
        app: { mountPoints },
      }),
      files,
    });
  });

  forEachFlavour(['severalApps', 'handlers', 'emptyVolumes'], (flavour) => {
    it('passes its validator: handlers, environment, directory, shared volume, apps side by side', async () => {
      const result = await the.rkt.ok(flavour.run('--volume=database,kind=empty', main, sidekick));
      const said = lines(result.output).filter((line) => / (OK|FAIL)$/.test(line));
      assert.match(said[0] ?? '', /ace-validator-main\[\d+\]: prestart OK|ace-validator-sidekick/);
      for (const [app, mode] of [
        ['main', 'prestart'],
        ['main', 'main'],
        ['sidekick', 'sidekick'],
      ]) {
        const line = new RegExp(`ace-validator-${app}\\[\\d+\\]: ${mode} OK$`);
        assert.ok(
          said.some((each) => line.test(each)),
          result.output,
        );
      }
      assert.ok(!result.output.includes('FAIL'), result.output);
    });

    it('gives every pod a UUID of RFC 4122, version 4', async () => {
      const uuid = await the.rkt.prepare([...flavour.stage1, main]);
      assert.match(uuid, UUID_PATTERN);
      assert.match(uuid, /^.{14}4.{4}[89ab]/);
    });

    it('does not start an app whose pre-start handler fails', async () => {
      const image = writeImage(
        the.rkt,
        minimalImage({
          exec: ['/bin/sh', '-c', 'echo started'],
          app: { eventHandlers: [{ name: 'pre-start', exec: ['/bin/sh', '-c', 'echo before; exit 3'] }] },
        }),
      );
      const result = await the.rkt.run(flavour.run(image));
      assert.deepEqual(flavour.linesOf(result), ['before']);
      assert.notEqual(result.status, 0);
    });

    it('starts no app with a handler it does not know', async () => {
      const image = writeImage(
        the.rkt,
        minimalImage({ app: { eventHandlers: [{ name: 'mid-life', exec: ['/bin/true'] }] } }),
      );
      const result = await the.rkt.run(flavour.run(image));
      expectStatus(result, 254);
      assert.match(result.output, /mid-life/);
    });

    it('handlers have the environment, the directory and the limits of the app, as root', async () => {
      const image = writeImage(the.rkt, {
        manifest: imageManifest({
          name: 'example.com/handled',
          exec: ['/bin/true'],
          app: {
            user: '1000',
            group: '100',
            workingDirectory: '/dir1',
            environment: [{ name: 'MINE', value: 'a b' }],
            eventHandlers: [
              {
                name: 'pre-start',
                exec: [
                  '/bin/sh',
                  '-c',
                  'id -u; pwd; echo "$MINE"; grep -E "^(CapBnd|Seccomp):" /proc/self/status',
                ],
              },
            ],
          },
        }),
        files: inspectFiles(),
      });
      const result = await the.rkt.ok(flavour.run(image));
      assert.deepEqual(
        flavour.linesOf(result).map((line) => line.replaceAll(/\s+/g, ' ')),
        ['0', '/dir1', 'a b', 'CapBnd: 00000000a80425fb', 'Seccomp: 2'],
      );
    });

    it('keeps to itself: apps share the pod, not their roots', async () => {
      const image = writeImage(
        the.rkt,
        minimalImage({
          exec: [
            '/bin/sh',
            '-c',
            'readlink /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/ipc /proc/self/ns/uts; ls /; : > /mine-$AC_APP_NAME',
          ],
        }),
      );
      const result = await the.rkt.ok(flavour.run(image, '--name=a', image, '--name=b'));
      const [a, b] = ['a', 'b'].map((app) => flavour.linesOf(result, app));
      assert.deepEqual(a?.slice(0, 4), b?.slice(0, 4));
      assert.ok(![...(a ?? []), ...(b ?? [])].some((line) => line.startsWith('mine-')));
    });
  });
});
