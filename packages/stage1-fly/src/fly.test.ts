import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess, SpawnSyncReturns } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { buildSync } from 'esbuild';

const BUSYBOX = '/bin/busybox';
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning'];
const LOCK_FD = 3;

/** The entry points in one file, as in the image; made once for all tests. */
let program = '';

interface PodParts {
  readonly app?: object;
  readonly runtimeApp?: object;
  readonly volumes?: readonly object[];
  readonly apps?: readonly object[];
}

/** A pod of one app whose root holds a static busybox. */
class FlyPod implements Disposable {
  readonly uuid: string = randomUUID();
  readonly base: string = mkdtempSync(join(tmpdir(), 'rkt-fly-'));
  readonly dir: string = join(this.base, this.uuid);
  readonly rootfs: string = join(this.dir, 'stage1/rootfs/opt/stage2/app/rootfs');

  constructor(exec: readonly string[], { app = {}, runtimeApp = {}, volumes = [], apps }: PodParts = {}) {
    chmodSync(this.base, 0o755);
    mkdirSync(join(this.rootfs, 'bin'), { recursive: true });
    mkdirSync(join(this.rootfs, 'etc'));
    copyFileSync(BUSYBOX, join(this.rootfs, 'bin/busybox'));
    for (const applet of [
      'sh',
      'cat',
      'id',
      'env',
      'ls',
      'sleep',
      'touch',
      'readlink',
      'stat',
      'wc',
      'grep',
    ]) {
      symlinkSync('busybox', join(this.rootfs, 'bin', applet));
    }
    this.write('appsinfo/app/manifest', {
      acKind: 'ImageManifest',
      acVersion: '0.8.11',
      name: 'example.com/app',
      app: { exec, user: '0', group: '0', ...app },
    });
    this.write('pod', {
      acVersion: '2.0.0',
      acKind: 'PodManifest',
      apps: apps ?? [{ name: 'app', image: { id: `sha512-${'a'.repeat(64)}` }, ...runtimeApp }],
      volumes,
    });
  }

  write(name: string, content: unknown): void {
    const file = join(this.dir, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  }

  /** Runs an entry point to its end, in the pod directory, with the pod's lock as descriptor 3. */
  call(name: string, args: readonly string[], env: Record<string, string> = {}): SpawnSyncReturns<string> {
    const lock = openSync(this.dir, 'r');
    try {
      return spawnSync(process.execPath, [...NODE_FLAGS, program, ...args], {
        argv0: name,
        cwd: this.dir,
        encoding: 'utf8',
        env: { RKT_LOCK_FD: String(LOCK_FD), CALLER: 'secret', ...env },
        stdio: ['ignore', 'pipe', 'pipe', lock],
      });
    } finally {
      closeSync(lock);
    }
  }

  run(...flags: string[]): SpawnSyncReturns<string> {
    return this.call('run', ['--net=host', ...flags, this.uuid]);
  }

  start(): ChildProcess {
    const lock = openSync(this.dir, 'r');
    try {
      return spawn(process.execPath, [...NODE_FLAGS, program, '--net=host', this.uuid], {
        argv0: 'run',
        cwd: this.dir,
        env: { RKT_LOCK_FD: String(LOCK_FD) },
        stdio: ['ignore', 'pipe', 'inherit', lock],
      });
    } finally {
      closeSync(lock);
    }
  }

  cgroups(): string[] {
    const marker = this.uuid.slice(0, 8);
    return readdirSync('/sys/fs/cgroup', { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) =>
        readdirSync(join('/sys/fs/cgroup', name)).filter((each) => each.includes(marker)),
      );
  }

  [Symbol.dispose](): void {
    this.call('gc', [this.uuid]);
    rmSync(this.base, { recursive: true, force: true });
  }
}

const shell = (script: string): string[] => ['/bin/sh', '-c', script];

function output(exec: readonly string[], parts: PodParts = {}, flags: readonly string[] = []): string {
  using pod = new FlyPod(exec, parts);
  const result = pod.run(...flags);
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}

function failure(exec: readonly string[], parts: PodParts = {}, flags: readonly string[] = []): string {
  using pod = new FlyPod(exec, parts);
  const result = pod.run(...flags);
  assert.equal(result.status, 254);
  assert.equal(result.stdout, '');
  return result.stderr;
}

describe('fly as root', function () {
  this.timeout(30_000);
  before(function () {
    if (process.getuid?.() !== 0 || !existsSync(BUSYBOX)) this.skip();
    program = join(mkdtempSync(join(tmpdir(), 'rkt-fly-program-')), 'stage1.cjs');
    buildSync({
      entryPoints: [join(import.meta.dirname, 'bin/stage1.ts')],
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'cjs',
      conditions: ['@rkt/source'],
    });
  });
  after(() => {
    if (program !== '') rmSync(dirname(program), { recursive: true });
  });

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

  describe('volumes', () => {
    const mounts = [{ volume: 'v', path: '/data' }];
    const volume = (source: string, more: object = {}): object[] => [
      { name: 'v', kind: 'host', source, ...more },
    ];

    function withSource<T>(use: (source: string) => T): T {
      const source = mkdtempSync(join(tmpdir(), 'rkt-volume-'));
      try {
        writeFileSync(join(source, 'file'), 'content');
        return use(source);
      } finally {
        rmSync(source, { recursive: true });
      }
    }

    it('are directories of the host', () => {
      withSource((source) => {
        const exec = shell('cat /data/file; touch /data/new');
        assert.equal(output(exec, { volumes: volume(source), runtimeApp: { mounts } }), 'content');
        assert.ok(existsSync(join(source, 'new')));
      });
    });

    it('are files of the host, put in a place that is made for them', () => {
      withSource((source) => {
        const exec = shell('cat /a/b/c');
        const volumes = volume(join(source, 'file'));
        assert.equal(
          output(exec, { volumes, runtimeApp: { mounts: [{ volume: 'v', path: '/a/b/c' }] } }),
          'content',
        );
      });
    });

    it('are read-only on request', () => {
      withSource((source) => {
        const exec = shell('cat /data/file; touch /data/new 2>&1; true');
        const volumes = volume(source, { readOnly: true });
        assert.match(
          output(exec, { volumes, runtimeApp: { mounts } }),
          /^contenttouch: .*Read-only file system/,
        );
      });
    });

    it('bring the mounts below them only when they are recursive, read-only ones too', () => {
      const under = (more: object): string =>
        output(
          shell(
            'ls /data/shm >/dev/null; grep -c " /data/shm " /proc/self/mountinfo; touch /data/shm/x 2>&1; true',
          ),
          {
            volumes: volume('/dev', more),
            runtimeApp: { mounts },
          },
        );
      assert.match(under({}), /^0/);
      assert.match(under({ recursive: true, readOnly: true }), /^[1-9]\d*\ntouch: .*Read-only file system/);
    });

    it('stay inside the root whatever the links of the image say', () => {
      withSource((source) => {
        using pod = new FlyPod(shell('cat /real/file; cat /nowhere/deep/file'), {
          volumes: [
            { name: 'a', kind: 'host', source },
            { name: 'b', kind: 'host', source },
          ],
          runtimeApp: {
            mounts: [
              { volume: 'a', path: '/link' },
              { volume: 'b', path: '/dangling/deep' },
            ],
          },
        });
        symlinkSync('../../../../../../../../real', join(pod.rootfs, 'link'));
        symlinkSync('/nowhere', join(pod.rootfs, 'dangling'));
        const { stdout, stderr } = pod.run();
        assert.equal(stdout, 'contentcontent', stderr);
        assert.equal(existsSync('/real'), false);
        assert.equal(existsSync('/nowhere'), false);
      });
    });

    it('are refused in one line', () => {
      const run = (source: string, path = '/data'): string =>
        failure(['/bin/env'], { volumes: volume(source), runtimeApp: { mounts: [{ volume: 'v', path }] } });
      assert.equal(run('/no/such'), 'run: stat of host path /no/such: no such file or directory\n');
      assert.equal(
        run('/etc', '/bin/busybox'),
        'run: can\'t mount because "/etc" is a directory while "/bin/busybox" is not\n',
      );
      assert.equal(
        run('/etc/passwd', '/etc'),
        'run: can\'t mount because "/etc/passwd" is not a directory while "/etc" is\n',
      );
    });
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

  describe('while it runs', () => {
    async function withRunning(
      script: string,
      parts: PodParts,
      use: (pod: FlyPod, pid: number, child: ChildProcess) => Promise<void> | void,
    ): Promise<void> {
      using pod = new FlyPod(shell(`${script}; echo ready; exec sleep 60`), parts);
      const child = pod.start();
      try {
        if (child.stdout !== null) await once(child.stdout, 'data');
        await use(pod, child.pid ?? 0, child);
      } finally {
        child.kill('SIGKILL');
      }
    }

    it('can be entered: same user, environment, root, mounts, cgroups and no more descriptors', async () => {
      const app = { user: '1000', group: '100', environment: [{ name: 'A', value: 'two\nlines' }] };
      await withRunning(':', { app }, (pod, pid) => {
        const script =
          'id; echo "$A $TERM"; readlink /proc/self/ns/mnt; cat /proc/self/cgroup; ls -A /tmp; ls /proc/self/fd | wc -l';
        const { stdout, status, stderr } = pod.call(
          'enter',
          [`--pid=${pid}`, '--appname=app', '--', 'sh', '-c', script],
          { TERM: 'vt220' },
        );
        assert.equal(status, 0, stderr);
        const lines = stdout.trim().split('\n');
        assert.equal(lines[0], 'uid=1000 gid=100 groups=100');
        assert.deepEqual(lines.slice(1, 3), ['two', 'lines vt220']);
        assert.equal(
          lines[3],
          spawnSync('readlink', [`/proc/${pid}/ns/mnt`], { encoding: 'utf8' }).stdout.trim(),
        );
        assert.equal(lines.slice(4, -1).join('\n'), readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim());
        // 0, 1, 2 and the directory that is being listed.
        assert.equal(lines.at(-1), '4');
      });
    });

    it('passes on how the entered command ended, and explains one that does not start', async () => {
      await withRunning(':', {}, (pod, pid) => {
        const enter = (...command: string[]): SpawnSyncReturns<string> =>
          pod.call('enter', [`--pid=${pid}`, '--', ...command]);
        assert.equal(enter('/bin/sh', '-c', 'exit 9').status, 9);
        assert.equal(
          enter('/no/such').stderr,
          'Error: Unable to open "/no/such": No such file or directory\n',
        );
        assert.equal(enter('/no/such').status, 203);
        const missing = enter('nope');
        assert.equal(missing.status, 254);
        assert.match(missing.stderr, /^fly-enter: unable to find "nope" in ".*"\n$/);
        const gone = pod.call('enter', ['--pid=4194304', '--', 'sh']);
        assert.equal(gone.stderr, 'fly-enter: process 4194304 of the pod is not running anymore\n');
        const other = pod.call('enter', [`--pid=${pid}`, '--appname=other', '--', 'sh']);
        assert.equal(other.stderr, 'fly-enter: no app "other" in the pod\n');
      });
    });

    it('stops on request', async () => {
      await withRunning(':', {}, async (pod, _, child) => {
        const ended = once(child, 'exit');
        assert.equal(pod.call('stop', [pod.uuid]).status, 0);
        assert.deepEqual(await ended, [null, 'SIGTERM']);
      });
    });

    it('stops altogether by force', async () => {
      await withRunning('sleep 61 & trap "" TERM', {}, async (pod, _, child) => {
        const ended = once(child, 'exit');
        assert.equal(pod.call('stop', ['--force', pod.uuid]).status, 0);
        assert.deepEqual(await ended, [null, 'SIGKILL']);
        const [group = ''] = readFileSync(join(pod.dir, 'subcgroup'), 'utf8').split('\n');
        const procs = join('/sys/fs/cgroup/pids', group, 'cgroup.procs');
        if (existsSync(procs)) assert.equal(readFileSync(procs, 'utf8'), '');
      });
    });

    it('never signals a process that is not its own', async () => {
      const stranger = spawn('sleep', ['60']);
      try {
        await once(stranger, 'spawn');
        await withRunning(':', {}, (pod) => {
          pod.write('pid', `${stranger.pid}\n`);
          pod.call('stop', ['--force', pod.uuid]);
        });
        assert.equal(stranger.exitCode, null);
        assert.equal(stranger.signalCode, null);
      } finally {
        stranger.kill('SIGKILL');
      }
    });

    it('leaves nothing behind after gc, though children outlive the app', async () => {
      using pod = new FlyPod(shell('sleep 62 >/dev/null 2>&1 & echo $!'));
      const child = pod.start();
      assert.ok(child.stdout !== null);
      const [text] = (await once(child.stdout, 'data')) as [Buffer];
      const orphan = `/proc/${text.toString().trim()}`;
      assert.ok(existsSync(orphan));
      assert.equal(pod.call('gc', [pod.uuid]).status, 0);
      assert.equal(
        existsSync(orphan) && readFileSync(`${orphan}/status`, 'utf8').includes('(sleeping)'),
        false,
      );
      assert.deepEqual(pod.cgroups(), []);
      assert.ok(lstatSync(pod.rootfs).isDirectory());
      assert.ok(statSync('/dev/null').isCharacterDevice());
    });
  });
});
