// Volumes and mounts inside apps (contract stage0 8.6, 8.7, stage1 2.23, 3).

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage, writeImage } from '../lib/images.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('volumes', ['root', 'busybox'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
    const host = the.rkt.tmp.join('host');
    mkdirSync(join(host, 'sub'), { recursive: true });
    writeFileSync(join(host, 'file'), 'host file');
    writeFileSync(the.rkt.tmp.join('single'), 'single');
  });

  forEachFlavour([], (flavour) => {
    const host = (...more: readonly string[]): string =>
      [`--volume=v,kind=host,source=${the.rkt.tmp.join('host')}`, ...more].join(',');
    const read = async (file: string, ...flags: readonly string[]): Promise<string> => {
      const result = await the.rkt.ok(
        flavour.run(...flags, image, '--', '--read-file', `--file-name=${file}`),
      );
      return flavour.linesOf(result).join('\n');
    };

    it('show host directories and files', async () => {
      assert.equal(await read('/data/file', host(), '--mount=volume=v,target=/data'), '<<<host file>>>');
      assert.equal(
        await read('/new/deep/dir/file', host(), '--mount=volume=v,target=/new/deep/dir'),
        '<<<host file>>>',
      );
      const single = `--volume=s,kind=host,source=${the.rkt.tmp.join('single')}`;
      assert.equal(await read('/etc/passwd', single, '--mount=volume=s,target=/etc/passwd'), '<<<single>>>');
      assert.equal(await read('/etc/fresh', single, '--mount=volume=s,target=/etc/fresh'), '<<<single>>>');
    });
    it('are written through unless they are read-only', async () => {
      const write = (target: string): string[] => [
        '--mount',
        `volume=v,target=${target}`,
        image,
        '--',
        '--write-file',
        '--content=new',
        `--file-name=${target}/written`,
      ];
      await the.rkt.ok(flavour.run(host(), ...write('/data')));
      assert.equal(readFileSync(the.rkt.tmp.join('host/written'), 'utf8'), 'new');
      rmSync(the.rkt.tmp.join('host/written'));
      const result = await the.rkt.run(flavour.run(host('readOnly=true'), ...write('/data')));
      expectStatus(result, 254);
      assert.match(
        result.output,
        /Cannot write to file "\/data\/written": open \/data\/written: read-only file system/,
      );
      assert.equal(existsSync(the.rkt.tmp.join('host/written')), false);
    });
    it('resolve links of the target inside the app', async () => {
      for (const [target, at] of [
        ['/dir1/link_abs_dir2/foo', '/dir2/foo'],
        ['/dir1/link_rel_dir2/bar', '/dir2/bar'],
        ['/dir1/../dir1/.//link_rel_dir2/foo', '/dir2/foo'],
        ['/dir1/../../../foo', '/foo'],
        ['/dir1/link_abs_dotdot_dir2/foo', '/dir2/foo'],
        ['/dir1/link_abs_notexists/sub', '/notexists/sub'],
        ['/dir1/link_abs_root/rooted', '/rooted'],
        ['../../../../up', '/up'],
        ['relative/dir', '/relative/dir'],
      ] as const) {
        assert.equal(
          await read(`${at}/file`, host(), `--mount=volume=v,target=${target}`),
          '<<<host file>>>',
          target,
        );
      }
    });
    it('belong to the app they follow, or to all', async () => {
      const result = await the.rkt.ok(
        flavour.run(host(), image, '--mount=volume=v,target=/own', '--', '--list-dir=/own'),
      );
      assert.deepEqual(flavour.linesOf(result), ['file', 'sub']);
    });
    it('must exist on the host', async () => {
      const result = await the.rkt.run(
        flavour.run('--volume=v,kind=host,source=/nonexistent/x', '--mount=volume=v,target=/x', image),
      );
      assert.equal(result.status, flavour.can.isolated ? 1 : 254, result.output);
      assert.match(result.output, /\/nonexistent\/x/);
    });
    it('pair with mount points of the image by name', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], { app: { mountPoints: [{ name: 'v', path: '/mp', readOnly: true }] } }),
        files: inspectFiles(),
      });
      const ok = await the.rkt.ok(flavour.run(host(), own, '--', '--read-file', '--file-name=/mp/file'));
      assert.deepEqual(flavour.linesOf(ok), ['<<<host file>>>']);
      const result = await the.rkt.run(
        flavour.run(host(), own, '--', '--write-file', '--content=x', '--file-name=/mp/y'),
      );
      expectStatus(result, 254);
      assert.match(result.output, /read-only file system/);
      await the.rkt.ok(
        flavour.run(host('readOnly=false'), own, '--', '--write-file', '--content=x', '--file-name=/mp/y'),
      );
      rmSync(the.rkt.tmp.join('host/y'));
    });
    it('show or hide what is mounted below them', async () => {
      const kernel = openKernel();
      const sub = the.rkt.tmp.join('host/sub');
      kernel.mount('none', sub, 'tmpfs', 0, null);
      try {
        writeFileSync(join(sub, 'inner'), 'inner');
        const list = async (...more: readonly string[]): Promise<string[]> =>
          flavour.linesOf(
            await the.rkt.ok(
              flavour.run(host(...more), '--mount=volume=v,target=/d', image, '--', '--list-dir=/d/sub'),
            ),
          );
        assert.deepEqual(await list('recursive=true'), ['inner']);
        assert.deepEqual(await list('recursive=false'), []);
        const result = await the.rkt.run(
          flavour.run(
            host('recursive=true', 'readOnly=true'),
            '--mount=volume=v,target=/d',
            image,
            '--',
            '--write-file',
            '--content=x',
            '--file-name=/d/sub/x',
          ),
        );
        expectStatus(result, 254);
        assert.match(result.output, /read-only file system/);
        await the.rkt.sweep();
      } finally {
        kernel.umount2(sub, MNT_DETACH);
      }
    });
    it('with : , and spaces in their paths work', async () => {
      const odd = the.rkt.tmp.join(`odd:dir with space ${flavour.name}`);
      mkdirSync(odd);
      writeFileSync(join(odd, 'file'), 'odd');
      assert.equal(
        await read('/o/file', `--volume=v,kind=host,source=${odd}`, '--mount=volume=v,target=/o'),
        '<<<odd>>>',
      );
    });
    it('twice at one target are taken once', async () => {
      const uuid = await the.rkt.prepare([
        ...flavour.stage1,
        host(),
        '--mount=volume=v,target=/d',
        image,
        '--mount=volume=v,target=/d/',
      ]);
      const manifest = JSON.parse(readFileSync(`${the.rkt.podDir(uuid)}/pod`, 'utf8')) as {
        apps: [{ mounts: unknown[] }];
      };
      assert.deepEqual(manifest.apps[0].mounts, [{ volume: 'v', path: '/d/' }]);
    });
    it('of one name given twice are refused', async () => {
      await the.rkt.fails(flavour.run(host(), host(), image), 'duplicate volume name');
    });
  });

  forEachFlavour(['emptyVolumes'], (flavour) => {
    it('of kind empty have the mode and owner they were given', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          '--volume=e,kind=empty,mode=0123,uid=9991,gid=9992',
          '--mount=volume=e,target=/e',
          image,
          '--',
          '--stat-file',
          '--file-name=/e',
        ),
      );
      assert.deepEqual(flavour.linesOf(result), [
        '/e: mode: d--x-w--wx',
        '/e: user: 9991',
        '/e: group: 9992',
      ]);
    });
    it('of kind empty are refused with a mode that is none', async () => {
      const words = (mode: string): string[] =>
        flavour.run(`--volume=e,kind=empty,mode=${mode}`, '--mount=volume=e,target=/e', image);
      await the.rkt.fails(words('rwx'), 'invalid mode "rwx" for volume "e"');
      await the.rkt.fails(words('0789'), 'invalid mode "0789" for volume "e"');
    });
    it('of kind empty are shared by apps and kept in the pod', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          '--volume=e,kind=empty',
          '--mount=volume=e,target=/e',
          image,
          '--name=writer',
          '--',
          '--write-file',
          '--file-name=/e/x',
          '--content=shared',
          '---',
          image,
          '--name=reader',
          '--',
          '--pre-sleep=1',
          '--read-file',
          '--file-name=/e/x',
        ),
      );
      assert.deepEqual(flavour.linesOf(result, 'reader'), ['<<<shared>>>']);
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.equal(readFileSync(`${the.rkt.podDir(uuid)}/sharedVolumes/e/x`, 'utf8'), 'shared');
    });
    it('are made for mount points nobody filled, with a warning', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], { app: { mountPoints: [{ name: 'mp', path: '/mp' }] } }),
        files: inspectFiles(),
      });
      const result = await the.rkt.ok(flavour.run(own, '--', '--stat-file', '--file-name=/mp'));
      assert.match(
        result.output,
        /warning: no volume specified for mount point "mp", implicitly creating an "empty" volume/,
      );
      assert.deepEqual(flavour.linesOf(result), ['/mp: mode: drwxr-xr-x', '/mp: user: 0', '/mp: group: 0']);
      const [uuid = ''] = the.rkt.podsIn('run');
      assert.ok(existsSync(`${the.rkt.podDir(uuid)}/sharedVolumes/rkt-inspect-mp`));
    });
    it('are filled from images that came from docker', async () => {
      const own = writeImage(the.rkt, {
        manifest: inspectManifest([], {
          annotations: { 'appc.io/docker/repository': 'whatever' },
          app: { mountPoints: [{ name: 'mp', path: '/mp' }] },
        }),
        files: [
          ...inspectFiles(),
          { path: 'mp/', mode: 0o751, uid: 12, gid: 34 },
          { path: 'mp/x', content: 'from the image' },
        ],
      });
      const result = await the.rkt.ok(
        flavour.run(own, '--', '--read-file', '--file-name=/mp/x', '--stat-file', '--file-name=/mp/x'),
      );
      assert.equal(flavour.linesOf(result)[0], '<<<from the image>>>');
      const stat = await the.rkt.ok(flavour.run(own, '--', '--stat-file', '--file-name=/mp'));
      assert.deepEqual(flavour.linesOf(stat), ['/mp: mode: drwxr-x--x', '/mp: user: 12', '/mp: group: 34']);
    });
  });

  forEachFlavour(['readOnlyRootfs'], (flavour) => {
    it('stay writable in a read-only root, also behind links, unless they are read-only themselves', async () => {
      const command = (file: string): string[] =>
        flavour.run(
          `--volume=w,kind=host,source=${the.rkt.tmp.join('host')}`,
          `--volume=r,kind=host,source=${the.rkt.tmp.join('host')},readOnly=true`,
          '--mount=volume=w,target=/dir1/link_abs_dir2/w',
          '--mount=volume=r,target=/r',
          image,
          '--readonly-rootfs=true',
          '--',
          '--write-file',
          '--content=x',
          `--file-name=${file}`,
        );
      await the.rkt.ok(command('/dir2/w/x'));
      assert.equal(readFileSync(the.rkt.tmp.join('host/x'), 'utf8'), 'x');
      rmSync(the.rkt.tmp.join('host/x'));
      for (const file of ['/dir1/x', '/r/x']) {
        const result = await the.rkt.run(command(file));
        expectStatus(result, 254);
        assert.match(result.output, /read-only file system/);
      }
      assert.ok(!existsSync(the.rkt.tmp.join('host/x')));
    });
  });

  forEachFlavour(['readOnlyRootfs', 'emptyVolumes'], (flavour) => {
    it('of kind empty can be written in a read-only root, and have their mode', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          '--volume=e,kind=empty,mode=0751',
          '--mount=volume=e,target=/e',
          image,
          '--readonly-rootfs=true',
          '--exec=/bin/sh',
          '--',
          '-c',
          'echo x > /e/x && cat /e/x && stat -c %a /e',
        ),
      );
      assert.deepEqual(flavour.linesOf(result), ['x', '751']);
    });
  });
});
