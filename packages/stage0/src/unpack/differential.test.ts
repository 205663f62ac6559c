// The same archives unpacked by us and by GNU tar: the trees must not differ in anything.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';
import { rawEntry } from '@rkt/testkit/raw-tar';
import { TempDir } from '@rkt/testkit/tmp';
import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { hashTree } from '../treestore/hash.ts';
import { unpackArchive } from './testing/unpack-archive.ts';

type Node =
  | { readonly type: 'file'; readonly content: string; readonly hole: number }
  | { readonly type: 'directory' }
  | { readonly type: 'symlink'; readonly target: string }
  | { readonly type: 'hardlink' }
  | { readonly type: 'fifo' }
  | { readonly type: 'char' };

interface Placed {
  readonly parent: number;
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly mtime: number;
  readonly attribute: string | undefined;
  readonly node: Node;
}

const NAMES = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'usr',
    'bin',
    ' leading',
    'new\nline',
    'tab\t',
    'käse',
    'q"uote',
    '-dash',
    '...',
    'x'.repeat(120),
  ),
  fc
    .string({ minLength: 1, maxLength: 12 })
    .filter((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..'),
);

const NODE: fc.Arbitrary<Node> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('file' as const),
      content: fc.string({ maxLength: 2000 }),
      hole: fc.constantFrom(0, 0, 0, 100_000),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ type: 'directory' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('symlink' as const),
      target: fc.constantFrom('a', '../x', '/abs/olute', 'dangling/../..', 'y'.repeat(150)),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'hardlink' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ type: 'fifo' as const }, { type: 'char' as const }) },
);

const TREE = fc.array(
  fc.record({
    parent: fc.nat(),
    name: NAMES,
    mode: fc.constantFrom(0o644, 0o755, 0o4711, 0o2750, 0o1777, 0o000, 0o7777),
    uid: fc.constantFrom(0, 1, 1000, 70_000, 3_000_000_000),
    mtime: fc.constantFrom(0, 1, 1_234_567_890.987654321, 4_000_000_000.5),
    attribute: fc.option(fc.constantFrom('v', '', 'ü'), { nil: undefined }),
    node: NODE,
  }),
  { maxLength: 25 },
);

const FORMATS = ['gnu', 'posix', 'ustar', 'oldgnu'] as const;

describe('unpacking', () => {
  it('does what GNU tar does', function () {
    if (process.getuid?.() !== 0) this.skip();
    this.timeout(120_000);
    let compared = 0;
    fc.assert(
      fc.property(
        TREE,
        fc.constantFrom(...FORMATS),
        fc.constantFrom(97, 512, 65_536, 1_000_000),
        (tree, format, pieceBytes) => {
          using tmp = new TempDir('differential');
          plant(
            tree.map((item) => fit(item, format)),
            tmp.join('source'),
          );
          const archive = pack(tmp, format);
          if (archive === undefined) return;
          compared += 1;
          unpackArchive(archive, tmp.join('ours'), { pieceBytes });
          run(
            'tar',
            [
              '-xpf',
              tmp.join('archive'),
              '-C',
              tmp.join('theirs'),
              '--numeric-owner',
              '--xattrs',
              '--xattrs-include=user.*',
            ],
            tmp.path,
          );
          assert.deepEqual(describeTree(tmp.join('ours')), describeTree(tmp.join('theirs/rootfs')));
          const hashes = ['ours', 'theirs/rootfs'].map((name) => hashTree(tmp.join(name), openKernel()));
          assert.deepEqual(hashes[0], hashes[1]);
        },
      ),
      { numRuns: runs(40) },
    );
    assert.ok(compared > 30, `${compared} of 40 archives were compared`);
  });
});

function plant(tree: readonly Placed[], root: string): void {
  mkdirSync(`${root}/rootfs`, { recursive: true });
  const kernel = openKernel();
  const directories = [`${root}/rootfs`];
  const files: string[] = [];
  const placed: { path: string; item: Placed }[] = [];
  for (const item of tree) {
    const path = `${directories[item.parent % directories.length]}/${item.name}`;
    try {
      kernel.statAt(-100, path, 0x100);
      continue;
    } catch {
      // Free.
    }
    const { node } = item;
    if (node.type === 'hardlink') {
      const target = files[item.parent % Math.max(1, files.length)];
      if (target !== undefined) kernel.linkAt(-100, target, -100, path, 0);
      continue;
    }
    if (node.type === 'directory') {
      mkdirSync(path);
      directories.push(path);
    } else if (node.type === 'file') {
      writeFileSync(path, node.content);
      if (node.hole > 0) run('truncate', ['-s', String(node.content.length * 4 + node.hole), path]);
      files.push(path);
    } else if (node.type === 'symlink') {
      kernel.symlinkAt(node.target, -100, path);
    } else {
      kernel.mknodAt(-100, path, node.type === 'fifo' ? 0o010600 : 0o020600, 1, 3);
    }
    placed.push({ path, item });
  }
  for (const { path, item } of placed.toReversed()) decorate(path, item);
}

function decorate(path: string, { node, uid, mode, mtime, attribute }: Placed): void {
  const kernel = openKernel();
  kernel.fchownAt(-100, path, uid, uid === 0 ? 5 : 0, 0x100);
  if (node.type !== 'symlink') kernel.fchmodAt(-100, path, mode);
  if (attribute !== undefined && node.type === 'file')
    kernel.lsetXattr(path, 'user.test', Buffer.from(attribute), 0);
  kernel.utimensAt(-100, path, 0n, BigInt(Math.round(mtime * 1e9)), 0x100);
}

// What the older formats cannot hold.
function fit(item: Placed, format: string): Placed {
  if (format !== 'ustar' && format !== 'oldgnu') return item;
  const uid = Math.min(item.uid, 2_000_000);
  const name = item.name.slice(0, 90);
  if (item.node.type !== 'symlink') return { ...item, uid, name };
  return { ...item, uid, name, node: { type: 'symlink', target: item.node.target.slice(0, 90) } };
}

// Undefined where the format cannot hold the tree, e.g. long names in ustar.
function pack(tmp: TempDir, format: string): Buffer | undefined {
  mkdirSync(tmp.join('theirs'));
  const options = ['--create', `--file=${tmp.join('tree')}`, `--format=${format}`, '--numeric-owner'];
  if (format !== 'ustar') options.push('--sparse');
  if (format === 'posix') options.push('--xattrs', '--xattrs-include=user.*');
  const { status } = spawnSync('tar', [...options, '--directory', tmp.join('source'), 'rootfs']);
  if (status !== 0) return undefined;
  const archive = Buffer.concat([rawEntry({ name: 'manifest' }, '{}'), readFileSync(tmp.join('tree'))]);
  writeFileSync(tmp.join('archive'), archive);
  return archive;
}

// All that find(1) can tell; inode numbers are replaced by link counts.
function describeTree(root: string): string[] {
  const format = '%P\\t%y\\t%m\\t%U\\t%G\\t%s\\t%T@\\t%l\\t%n\\0';
  const listed = run('find', [
    root,
    '-type',
    'd',
    '-printf',
    format.replace('%s', '-'),
    '-o',
    '-printf',
    format,
  ]);
  return listed.split('\0').sort();
}

function run(command: string, args: readonly string[], cwd = '/'): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 26 });
  assert.equal(status, 0, `${command}: ${stderr}`);
  return stdout;
}
