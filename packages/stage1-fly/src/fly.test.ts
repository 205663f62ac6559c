import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

import {
  describeFly,
  failure,
  FlyPod,
  LOCK_FD,
  NODE_FLAGS,
  output,
  program,
  shell,
} from './testing/fly-pod.test.ts';

describeFly('fly as root', () => {
  it('becomes the app: pid, exit status, and the files that say so', () => {
    using pod = new FlyPod(shell('echo $$; exit 7'));
    const result = pod.run();
    assert.equal(result.status, 7, result.stderr);
    assert.equal(result.stdout, `${result.pid}\n`);
    assert.equal(readFileSync(join(pod.dir, 'pid'), 'utf8'), `${result.pid}\n`);
    assert.match(readFileSync(join(pod.dir, 'pgid'), 'utf8'), /^\d+\n$/);
    assert.equal(existsSync(join(pod.dir, 'ppid')), false);
    assert.ok(readFileSync(join(pod.dir, 'runtime-config'), 'utf8').startsWith('{"MetadataServiceURL"'));
  });

  it('passes a death by signal on', () => {
    using pod = new FlyPod(shell('kill -9 $$'));
    assert.equal(pod.run().signal, 'SIGKILL');
  });

  it("has the app's environment and not the caller's", () => {
    const app = { environment: [{ name: 'A', value: 'x y' }] };
    const lines = output(['/bin/env'], { app }).trim().split('\n').sort();
    assert.deepEqual(lines, [
      'A=x y',
      'AC_APP_NAME=app',
      'HOME=/root',
      'LOGNAME=root',
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'SHELL=/bin/sh',
      'USER=root',
      'container=rkt',
    ]);
  });

  it('writes the environment down', () => {
    using pod = new FlyPod(['/bin/env']);
    pod.run();
    assert.match(readFileSync(join(pod.dir, 'stage1/rootfs/rkt/env/app'), 'utf8'), /^PATH=.*\n/);
  });

  it('runs as the user, in the working directory, with the lock and no other descriptor', () => {
    const app = { user: '1000', group: '100', supplementaryGIDs: [400], workingDirectory: '/bin' };
    const script = 'id; pwd; umask; for fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; true';
    assert.deepEqual(output(shell(script), { app }).trim().split('\n'), [
      'uid=1000 gid=100 groups=100,400',
      '/bin',
      '0022',
      '0',
      '1',
      '2',
      String(LOCK_FD),
    ]);
  });

  it('finds the program in PATH and calls it by the path found', () => {
    const app = { environment: [{ name: 'PATH', value: '/nowhere:/bin' }] };
    assert.equal(output(['cat', '/proc/self/cmdline'], { app }), '/bin/cat\0/proc/self/cmdline\0');
  });

  it('makes its mounts where the host does not see them', () => {
    using pod = new FlyPod(
      shell('cat /proc/self/mountinfo; ls /dev/null /proc/self/stat /sys/kernel; stat -c %a /tmp'),
    );
    const { stdout, status, stderr } = pod.run();
    assert.equal(status, 0, stderr);
    assert.match(stdout, / \/tmp .* - tmpfs /);
    assert.match(stdout, /^1777$/m);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(pod.base));
    assert.deepEqual(readdirSync(join(pod.rootfs, 'dev')), []);
  });

  it('has a cgroup of its own in every hierarchy until gc', () => {
    const exec = shell('cat /proc/self/cgroup');
    using pod = new FlyPod(exec);
    const { stdout, stderr } = pod.run();
    const lines = stdout.trim().split('\n');
    for (const line of lines)
      assert.ok(line.includes(pod.uuid.replaceAll('-', '\\x2d')), `${line} ${stderr}`);
    assert.ok(pod.cgroups().length > 0);
    assert.equal(pod.call('gc', ['--debug', '--local-config', '/etc/rkt', pod.uuid]).status, 0);
    assert.deepEqual(pod.cgroups(), []);
    assert.equal(pod.call('gc', [pod.uuid]).status, 0);
  });

  it('keeps a read-only root from the app', () => {
    const script = 'touch /x 2>&1; touch /tmp/y && touch /dev/shm/rkt-fly-test && echo ok';
    const text = output(shell(script), { runtimeApp: { readOnlyRootFS: true } });
    rmSync('/dev/shm/rkt-fly-test', { force: true });
    assert.match(text, /^touch: \/x: Read-only file system\nok\n$/);
  });

  it('brings resolv.conf and hosts as asked', () => {
    const script = 'cat /etc/resolv.conf /etc/hosts';
    using pod = new FlyPod(shell(script));
    pod.write('stage1/rootfs/etc/rkt-resolv.conf', 'nameserver 192.0.2.1\n');
    pod.write('stage1/rootfs/etc/rkt-hosts', '192.0.2.2 name\n');
    assert.equal(
      pod.run('--dns-conf-mode=resolv=stage0,hosts=stage0').stdout,
      'nameserver 192.0.2.1\n192.0.2.2 name\n',
    );
    assert.equal(output(shell('cat /etc/hosts')), '127.0.0.1 localhost localdomain\n');
    assert.equal(
      output(shell('cat /etc/hosts'), {}, ['--dns-conf-mode=resolv=none,hosts=host']),
      readFileSync('/etc/hosts', 'utf8'),
    );
  });

  it('says what it ignores', () => {
    const app = { isolators: [{ name: 'resource/memory', value: { limit: '25Mi' } }] };
    using pod = new FlyPod(['/bin/env'], { app });
    const { stdout, stderr } = pod.run('--hostname=x', '--mds-token=y', '--interactive', '--disable-paths');
    assert.ok(
      stdout.startsWith(
        'Warning: -mds-token not supported; ignoring\nWarning: -hostname not supported; ignoring\n',
      ),
    );
    assert.equal(stderr, 'run: warning: fly does not isolate, ignoring resource/memory\n');
  });

  it('tells the app of a registered pod where its metadata is, and nobody else', () => {
    using pod = new FlyPod(['/bin/env']);
    pod.write('mds-registration', JSON.stringify({ token: 'abc', port: 99 }));
    const { stdout } = pod.run();
    assert.match(stdout, /^AC_METADATA_URL=http:\/\/127\.0\.0\.1:99\/abc$/m);
    for (const file of ['runtime-config', 'stage1/rootfs/rkt/env/app'].map((name) => join(pod.dir, name))) {
      assert.ok(readFileSync(file, 'utf8').includes('abc'));
      assert.equal(statSync(file).mode & 0o777, 0o600, file);
    }
  });

  it('explains a program that cannot be executed, with status 203', () => {
    using pod = new FlyPod(['/no such']);
    const { status, stderr } = pod.run();
    assert.deepEqual(
      [status, stderr],
      [203, 'Error: Unable to open "/no such": No such file or directory\n'],
    );
  });

  it('refuses in one line', () => {
    const image = { id: `sha512-${'a'.repeat(64)}` };
    const two = [
      { name: 'app', image },
      { name: 'two', image, app: { exec: ['/x'], user: '0', group: '0' } },
    ];
    using pod = new FlyPod(['/bin/env'], { apps: two });
    pod.write('appsinfo/two/manifest', readFileSync(join(pod.dir, 'appsinfo/app/manifest'), 'utf8'));
    assert.equal(pod.run().stderr, 'run: fly only supports 1 application per Pod for now\n');
    assert.equal(failure([]), 'run: image "example.com/app" has an empty "exec" (try --exec=BINARY)\n');
    assert.equal(failure(['nope']), 'run: unable to find "nope" in "/:/bin:/usr/bin"\n');
    assert.equal(failure(['/bin/env'], { app: { user: 'nobody2' } }), 'run: "nobody2" user not found\n');
    assert.equal(failure(['/bin/env'], {}, ['--ipc=parent']), 'run: flag provided but not defined: -ipc\n');
    assert.equal(failure(['/bin/env'], {}, ['--mutable']), 'run: flag provided but not defined: -mutable\n');
    assert.equal(
      failure(['/bin/env'], {}, ['--private-users=0:1']),
      'run: flag provided but not defined: -private-users\n',
    );
    assert.match(
      failure(['/bin/env'], {}, ['--dns-conf-mode=resolv=x']),
      /^run: invalid value "resolv=x" for flag -dns-conf-mode/,
    );
    using lockless = new FlyPod(['/bin/env']);
    assert.equal(
      lockless.call('run', [lockless.uuid], { RKT_LOCK_FD: '' }).stderr,
      'run: RKT_LOCK_FD is not a descriptor: ""\n',
    );
  });

  it('hands down sockets of the service manager', () => {
    using pod = new FlyPod(
      shell('echo $LISTEN_FDS; [ $LISTEN_PID = $$ ] && echo mine; [ -e /proc/$$/fd/3 ] && echo open'),
    );
    const script = `exec 3</dev/null 4<'${pod.dir}'; export RKT_LOCK_FD=4 LISTEN_FDS=1 LISTEN_PID=$$;
      exec -a run '${process.execPath}' ${NODE_FLAGS.join(' ')} '${program}' ${pod.uuid}`;
    const { stdout, stderr } = spawnSync('bash', ['-c', script], { cwd: pod.dir, encoding: 'utf8' });
    assert.equal(stdout, '1\nmine\nopen\n', stderr);
  });
});
