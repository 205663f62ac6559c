// Checks of the conformance suite on pods that end: by themselves, in pairs, by force, with restrictions. Runs in the
// mocha process.

import assert from 'node:assert/strict';

import { minimalImage } from '@rkt/testkit/debian-image';

import { check } from '../lib/conformance.ts';
import type { Flavour } from '../lib/flavours.ts';
import { shellImage, writeImage } from '../lib/images.ts';
import { requires } from '../lib/requires.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { Sandbox } from '../lib/sandbox.ts';
import type { Suite } from '../lib/suite.ts';
import { BOOT_MS } from './witness.ts';

/** Declares the checks for one flavour. */
export function shortPods(the: Suite, flavour: Flavour): void {
  const timeoutMs = 2 * BOOT_MS;

  describe('a pod that ends', () => {
    afterEach(() => the.rkt.sweep());

    check(flavour, 'exitStatus', "is the app's, after all that it wrote", async () => {
      const script = 'for n in $(seq 60); do echo line $n; done; echo err >&2; exit 42';
      const image = shellImage(the.rkt, script, { name: 'example.com/short' });
      const result = expectStatus(await the.rkt.run(flavour.run(image), { timeoutMs }), 42);
      const said = flavour.linesOf(result);
      assert.deepEqual(
        said.filter((line) => line.startsWith('line')),
        Array.from({ length: 60 }, (_, index) => `line ${index + 1}`),
      );
      assert.ok(said.includes('err'), result.output);
      const [uuid = ''] = the.rkt.podsIn('run');
      const status = await the.rkt.status(uuid);
      assert.equal(status['state'], 'exited');
      if (flavour.can.statusFiles) assert.equal(status['app-short'], '42');
    });
    check(flavour, 'exitStatus', 'is not 0 when there is no such program', async () => {
      const image = shellImage(the.rkt, '', { exec: ['/bin/missing'] });
      const result = await the.rkt.run(flavour.run(image), { timeoutMs });
      assert.notEqual(result.status, 0, result.output);
      assert.match(result.output, /missing/);
    });
    check(flavour, 'severalApps', "see each other, and the first bad status is the command's", async () => {
      // The first bad status ends the pod, so it is that of the last one.
      const ask =
        'until wget -q -O /dev/null http://127.0.0.1:7000/busybox; do sleep 1; done; touch /shared/done';
      const serve = `httpd -p 127.0.0.1:7000 -h /bin; until [ -e /shared/done ]; do sleep 1; done
        while grep -qs wge[t] /proc/[0-9]*/cmdline; do sleep 1; done; echo served; exit 3`;
      const app = { mountPoints: [{ name: 'shared', path: '/shared' }] };
      const result = await the.rkt.run(
        flavour.run(
          '--volume=shared,kind=empty',
          shellImage(the.rkt, serve, { name: 'example.com/server', app }),
          shellImage(the.rkt, ask, { name: 'example.com/client', app }),
        ),
        { timeoutMs },
      );
      expectStatus(result, 3);
      assert.ok(flavour.linesOf(result, 'server').includes('served'), result.output);
      const status = await the.rkt.status(the.rkt.podsIn('run')[0] ?? '');
      assert.deepEqual([status['app-server'], status['app-client']], ['3', '0']);
    });
    check(flavour, 'statusFiles', 'hold it when rkt is gone', async () => {
      const image = shellImage(the.rkt, 'exit 5', { name: 'example.com/short' });
      expectStatus(await the.rkt.run(flavour.run(image), { timeoutMs }), 5);
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.equal((await the.rkt.status(uuid))['app-short'], '5');
      await the.rkt.ok(['rm', uuid]);
    });
    check(flavour, 'handlers', 'run before and after the app', async () => {
      const { manifest, files = [] } = minimalImage({
        exec: ['/bin/sh', '-c', 'cat /before; echo now; echo told > /told'],
        app: {
          eventHandlers: [
            { name: 'pre-start', exec: ['/bin/sh', '-c', 'echo before > /before'] },
            { name: 'post-stop', exec: ['/bin/sh', '-c', 'echo after; cat /told'] },
          ],
        },
      });
      const result = await the.rkt.ok(flavour.run(writeImage(the.rkt, { manifest, files })), { timeoutMs });
      const said = flavour.linesOf(result);
      assert.deepEqual(said, ['before', 'now', 'after', 'told']);
    });
    check(flavour, 'callersInput', 'reads what the caller types', async () => {
      const image = shellImage(the.rkt, 'read -r line; echo "read $line"');
      const result = await the.rkt.ok(flavour.run(image), { input: 'hello\n', timeoutMs });
      assert.ok(flavour.linesOf(result).includes('read hello'), result.output);
    });
    check(flavour, 'interactive', 'has the terminal', async () => {
      const script =
        'test -t 0 && test -t 1 && echo "on a terminal"; read -r line; echo "read $line"; exit 3';
      const pod = the.rkt.startOnTerminal(flavour.run('--interactive', shellImage(the.rkt, script)), {
        timeoutMs,
      });
      await pod.waitFor('on a terminal', BOOT_MS);
      pod.write('hello\n');
      assert.match(expectStatus(await pod.ended, 3).output, /read hello/);
    });
    check(flavour, 'stopForce', 'ends an app that does not listen', async () => {
      const image = shellImage(the.rkt, "trap '' TERM; echo deaf; while :; do sleep 1; done");
      const pod = the.rkt.start(flavour.run(image), { timeoutMs });
      await pod.waitFor('deaf', BOOT_MS);
      const [uuid = ''] = the.rkt.podsIn('run');
      await the.rkt.ok(['stop', '--force', uuid]);
      assert.notEqual((await pod.ended).status, 0);
      assert.equal((await the.rkt.status(uuid))['state'], 'exited');
    });
    check(flavour, 'userNamespaces', 'is root in the pod and somebody else outside', async function () {
      requires(this, 'userns');
      const image = shellImage(the.rkt, 'id -u; cat /proc/self/uid_map');
      const said = flavour.linesOf(await the.rkt.ok(flavour.run('--private-users', image), { timeoutMs }));
      assert.equal(said[0], '0');
      assert.match(said[1] ?? '', /^\s*0\s+[1-9]\d*\s+65536\s*$/);
    });
    check(flavour, 'mutable', 'comes, runs and goes in a pod that stays', async () => {
      const image = shellImage(the.rkt, 'echo guest; exit 7', { name: 'example.com/guest' });
      await the.rkt.ok([INSECURE, 'fetch', image]);
      const sandbox = await Sandbox.start(the.rkt, [...flavour.stage1, ...flavour.net]);
      await sandbox.app('add', 'example.com/guest');
      await sandbox.app('start', '--app=guest');
      assert.equal((await sandbox.exited('guest')).exit_code, 7);
      await sandbox.app('rm', '--app=guest');
      assert.equal(await sandbox.stop(), 0);
    });
  });

  describe('a pod with restrictions', () => {
    let said: string[] = [];
    let output = '';
    let status = -1;
    const value = (name: string): string =>
      said.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? 'not said';
    before(async () => {
      const flags = [
        ...(flavour.can.readOnlyRootfs ? ['--readonly-rootfs=true'] : []),
        ...(flavour.can.capabilities ? ['--caps-retain=CAP_NET_BIND_SERVICE,CAP_KILL'] : []),
        ...(flavour.can.seccomp ? ['--seccomp=mode=remove,errno=ENOSYS,sethostname,mkdir,mkdirat'] : []),
        ...(flavour.can.isolators ? ['--memory=48M', '--cpu=100m'] : []),
      ];
      const names = flavour.can.names
        ? ['--dns=192.0.2.1', '--dns-search=example.org', '--hosts-entry=192.0.2.7=friend']
        : [];
      const image = shellImage(the.rkt, RESTRICTED, { name: 'example.com/restricted' });
      const hogs = flavour.can.isolators ? ['--set-env=HOGS=yes'] : [];
      const uuid = await the.rkt.prepare([...flavour.stage1, ...hogs, image, ...flags]);
      const ran = await the.rkt.run(['run-prepared', ...flavour.net, ...names, uuid], { timeoutMs });
      said = flavour.linesOf(ran);
      ({ output, status } = ran);
    });
    after(() => the.rkt.sweep());

    check(flavour, 'running', 'prepare and run-prepared do the same as run', () => {
      assert.equal(value('end'), 'reached', output);
      assert.equal(status, 9, output);
    });
    check(flavour, 'readOnlyRootfs', 'cannot be written', () => assert.equal(value('root'), 'read-only'));
    check(flavour, 'capabilities', 'are those that were retained', () => {
      // CAP_KILL is 5, CAP_NET_BIND_SERVICE 10: capabilities(7).
      for (const set of ['CapEff', 'CapBnd'])
        assert.equal(BigInt(`0x${value(set)}`), (1n << 5n) | (1n << 10n), set);
    });
    check(flavour, 'seccomp', 'takes calls away', () => {
      assert.equal(value('Seccomp'), '2');
      assert.match(value('mkdir'), /not implemented/);
    });
    check(flavour, 'protectedPaths', 'cannot be written or read', () => {
      assert.equal(value('pattern'), 'protected');
      assert.equal(value('kcore'), '0');
    });
    check(flavour, 'names', 'are those that were given', () => {
      assert.equal(value('dns'), 'nameserver 192.0.2.1');
      assert.equal(value('search'), 'search example.org');
      assert.match(value('friend'), /^192\.0\.2\.7\s+friend$/);
    });
    check(flavour, 'isolators', 'of processor time: a tenth takes ten times as long', () => {
      const [hundredths = 0, seconds = 0] = value('cpu').split('/').map(Number);
      assert.ok(hundredths >= 30 && seconds * 100 >= 5 * hundredths, value('cpu'));
    });
    check(
      flavour,
      'isolators',
      'of memory: what takes more is killed, and the rest of the app goes on',
      () => {
        assert.equal(value('hog'), '137', output);
      },
    );
    if (flavour.can.isolators) {
      check(flavour, 'isolators', 'of memory: an app of one process ends by that signal', async () => {
        const image = shellImage(the.rkt, HOG, { name: 'example.com/hog' });
        const pod = await the.rkt.run(flavour.run(image, '--memory=48M'), { timeoutMs });
        assert.notEqual(pod.status, 0, pod.output);
        await the.rkt.sweep();
      });
    }
  });
}

/** Doubles a string until there is no memory, or far too much was given. */
const HOG = 'x=xxxxxxxxxxxxxxxx; while [ ${#x} -lt 200000000 ]; do x=$x$x; done';

// Fields 14 and 15 of proc_pid_stat(5) are processor time in hundredths of a second. The app's limits hold for what is
// measured only where there are some; then the loop takes seconds, and else 0.3.
const RESTRICTED = `
if (echo x > /x) 2> /dev/null; then echo root=written; else echo root=read-only; fi
sed -n 's/^\\(CapEff\\|CapBnd\\|Seccomp\\):[[:space:]]*\\(.*\\)$/\\1=\\2/p' /proc/self/status
echo "mkdir=$(mkdir /tmp/x 2>&1)"
if (: >> /proc/sys/kernel/core_pattern) 2> /dev/null; then echo pattern=open; else echo pattern=protected; fi
echo "kcore=$(head -c 1 /proc/kcore 2> /dev/null | wc -c)"
echo "dns=$(grep ^nameserver /etc/resolv.conf 2> /dev/null)"
echo "search=$(grep ^search /etc/resolv.conf 2> /dev/null)"
echo "friend=$(grep friend /etc/hosts 2> /dev/null)"
used() { read -r line < /proc/$$/stat; set -- \${line##*) }; ticks=$((\${12} + \${13})); }
used; base=$ticks
read -r began rest < /proc/uptime
until used; [ $((ticks - base)) -ge 30 ]; do :; done
read -r ended rest < /proc/uptime
echo "cpu=$((ticks - base))/$((\${ended%%.*} - \${began%%.*}))"
[ -z "$HOGS" ] || { (${HOG}); echo "hog=$?"; }
echo end=reached
exit 9
`;
