// Names what differs between a tree and what it should be, entry by entry. Runs in stage0.
//
// Both trees are walked side by side in one order, so memory does not grow with them.

import type { Kernel } from '@rkt/linux/kernel';

import { type BytePath, readable } from '../unpack/byte-path.ts';
import type { ContentDigests } from '../unpack/tree-writer.ts';
import { digestOf, type TreeRecord, treeRecord, XattrReader } from './hash.ts';
import { type WalkedEntry, walkTree } from './walk-tree.ts';

/** One entry that is not what it should be. */
export interface TreeDifference {
  readonly path: BytePath;
  /** `missing`, `extra`, or what of it differs: `content`, `mode 0644 instead of 0640`. */
  readonly problems: readonly string[];
}

/** The tree to compare with, and what is known of its contents already. */
export interface WantedTree {
  readonly directory: string;
  readonly digests: ContentDigests;
}

/** Yields what differs in `found` from `wanted`, in the order of the walk; times do not count. @throws KernelError */
export function* compareTrees(
  found: string,
  wanted: WantedTree,
  kernel: Kernel,
  skip: (path: BytePath) => boolean,
): Generator<TreeDifference, void, undefined> {
  const xattrs = new XattrReader(kernel);
  const ours = walkTree(found, skip);
  const theirs = walkTree(wanted.directory, skip);
  let [mine, other] = [next(ours), next(theirs)];
  while (mine !== undefined || other !== undefined) {
    const order = inWalkOrder(mine, other);
    if (order < 0 && mine !== undefined) {
      yield { path: mine.path, problems: ['extra'] };
    } else if (order > 0 && other !== undefined) {
      yield { path: other.path, problems: ['missing'] };
    } else if (mine !== undefined && other !== undefined) {
      const problems = problemsOf(mine, other, xattrs, wanted.digests);
      if (problems.length > 0) yield { path: mine.path, problems };
    }
    if (order <= 0) mine = next(ours);
    if (order >= 0) other = next(theirs);
  }
}

/** As a line for people: `rootfs/etc/conf: content, mode 0644 instead of 0640`. */
export function differenceText({ path, problems }: TreeDifference): string {
  return `${readable(path)}: ${problems.join(', ')}`;
}

function next(walk: Generator<WalkedEntry, void, undefined>): WalkedEntry | undefined {
  const { done, value } = walk.next();
  return done === true ? undefined : (value as WalkedEntry);
}

// Negative when `a` comes first. A directory's entries follow it directly, so names are compared one by one.
function inWalkOrder(a: WalkedEntry | undefined, b: WalkedEntry | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  if (a.path === b.path) return 0;
  const [left, right] = [a.path.split('/'), b.path.split('/')];
  const at = left.findIndex((name, index) => name !== right[index]);
  if (at === -1) return -1;
  return right[at] === undefined || (left[at] as string) > right[at] ? 1 : -1;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  '0': 'a file',
  '1': 'a hard link',
  '2': 'a symbolic link',
  '3': 'a character device',
  '4': 'a block device',
  '5': 'a directory',
  '6': 'a fifo',
};

function problemsOf(
  found: WalkedEntry,
  wanted: WalkedEntry,
  xattrs: XattrReader,
  digests: ContentDigests,
): string[] {
  const [is, should] = [treeRecord(found, xattrs), treeRecord(wanted, xattrs)];
  if (is.Typeflag !== should.Typeflag) {
    return [instead(TYPE_NAMES[is.Typeflag] ?? '?', TYPE_NAMES[should.Typeflag] ?? '?')];
  }
  const problems: string[] = [];
  const note = (what: string, value: (record: TreeRecord) => string): void => {
    const [mine, other] = [value(is), value(should)];
    if (mine !== other) problems.push(`${what} ${instead(mine, other)}`);
  };
  if (is.Typeflag === '0' && (is.Size !== should.Size || digestOf(found) !== digestOf(wanted, digests))) {
    problems.push('content');
  }
  note('link target', ({ Linkname }) => readable(Linkname));
  // A further name of a file has what the first has.
  if (is.Typeflag === '1') return problems;
  note('mode', ({ Mode }) => `0${Mode.toString(8)}`);
  note('owner', ({ UID, GID }) => `${UID}:${GID}`);
  note('device', ({ Devmajor, Devminor }) => `${Devmajor}:${Devminor}`);
  if (JSON.stringify(is.Xattrs) !== JSON.stringify(should.Xattrs)) problems.push('extended attributes');
  return problems;
}

function instead(found: string, wanted: string): string {
  return `${found} instead of ${wanted}`;
}
