import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

import { runs } from '@rkt/property-runs/runs';
import { TempDir } from '@rkt/testkit/tmp';
import fc from 'fast-check';

import { dependencies, firstRoot, inOrder } from './guest.ts';
import { newcArchive, type NewcEntry } from './newc.ts';

/** What busybox's cpio lists or extracts; undefined where there is no busybox. */
function cpio(archive: Buffer, ...words: string[]): string | undefined {
  const { status, stdout, stderr, error } = spawnSync('busybox', ['cpio', ...words], { input: archive });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
  assert.equal(status, 0, stderr.toString());
  return stdout.toString();
}

const file = (name: string, content: Uint8Array): NewcEntry => ({
  type: 'file',
  name,
  mode: 0o644,
  content: Buffer.from(content),
});

describe('newc archives', () => {
  it('are listed by cpio with kinds, modes and sizes', function () {
    const archive = newcArchive(
      [
        { type: 'directory', name: 'dev', mode: 0o755 },
        { type: 'device', name: 'dev/console', mode: 0o600, major: 5, minor: 1 },
        { type: 'symlink', name: 'link', mode: 0o777, target: 'dev' },
        file('init', Buffer.from('#!/bin/sh\n')),
      ],
      0,
    );
    const listed = cpio(archive, '-tv');
    if (listed === undefined) this.skip();
    const lines = listed.trim().split('\n');
    assert.match(lines[0] ?? '', /^drwxr-xr-x .* dev$/);
    assert.match(lines[1] ?? '', /^crw------- .* dev\/console$/);
    assert.match(lines[2] ?? '', /^lrwxrwxrwx .* link -> dev$/);
    assert.match(lines[3] ?? '', /^-rw-r--r-- .* 10 .* init$/);
    assert.equal(lines.length, 4);
  });
  it('give back every name and content, whatever their lengths', function () {
    if (cpio(newcArchive([], 0), '-t') === undefined) this.skip();
    const files = fc.uniqueArray(
      fc.record({
        name: fc.stringMatching(/^[a-z][a-z0-9._-]{0,40}$/),
        content: fc.uint8Array({ maxLength: 600 }),
      }),
      { selector: ({ name }) => name, maxLength: 8 },
    );
    fc.assert(
      fc.property(files, (wanted) => {
        const archive = newcArchive(
          wanted.map(({ name, content }) => file(name, content)),
          1,
        );
        assert.equal(archive.length % 4, 0);
        assert.deepEqual(
          cpio(archive, '-t')?.split('\n').filter(Boolean),
          wanted.map(({ name }) => name),
        );
        for (const { name, content } of wanted) {
          const { stdout } = spawnSync('busybox', ['cpio', '-i', '--to-stdout', name], { input: archive });
          assert.deepEqual(new Uint8Array(stdout), content);
        }
      }),
      { numRuns: runs(15) },
    );
  });
  it('refuse absolute names', () => {
    assert.throws(() => newcArchive([file('/etc/passwd', Buffer.alloc(0))], 0), /no name for a file/);
  });
});

describe('modules of the guest', () => {
  it('are there, or built into the kernel', () => {
    using tmp = new TempDir('modules');
    writeFileSync(tmp.join('modules.builtin'), 'kernel/drivers/virtio/virtio-pci.ko\n');
    writeFileSync(tmp.join('fuse.ko'), '\0depends=\0');
    const parts = { busybox: Buffer.alloc(0), init: Buffer.alloc(0), modules: tmp.path };
    const archive = firstRoot({ ...parts, groups: { root: ['fuse', 'virtio_pci'] } });
    assert.ok(archive.includes('modules/fuse.ko'));
    assert.throws(() => firstRoot({ ...parts, groups: { root: ['floppy'] } }), /has no module floppy/);
  });
  it('come after those they need, once', () => {
    const needs = (...names: string[]): { needs: string[] } => ({ needs: names });
    const modules = new Map([
      ['virtio_net', needs('net_failover', 'virtio')],
      ['net_failover', needs('failover')],
      ['failover', needs()],
      ['virtio', needs('built_in')],
    ]);
    assert.deepEqual(inOrder(['virtio_net', 'virtio'], modules), [
      'failover',
      'net_failover',
      'virtio',
      'virtio_net',
    ]);
  });
  it('name what they need in .modinfo', () => {
    const modinfo = Buffer.from('\x7fELF\0license=GPL\0depends=virtio-ring,virtio\0name=x\0');
    assert.deepEqual(dependencies(modinfo), ['virtio_ring', 'virtio']);
    assert.deepEqual(dependencies(Buffer.from('\0depends=\0')), []);
  });
});
