import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describeFly, failure, FlyPod, output, shell } from './testing/fly-pod.test.ts';

describeFly('volumes of fly as root', () => {
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
