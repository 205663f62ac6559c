// What an entry of an image may be called and say: the door that every name of an archive passes before anything is
// done with it. Pure; runs in stage0.

import { type BytePath, readable } from './byte-path.ts';
import { refuse } from './errors.ts';
import { MAX_NAME_BYTES, MAX_PATH_BYTES } from './limits.ts';

/**
 * The name of an entry, cleaned. Images name their files relative to their own root: an absolute name or one with
 * `..` was made to escape.
 * @throws UnpackError `unsafe-entry`
 */
export function cleanEntryName(name: Buffer): BytePath {
  const text = name.toString('latin1');
  if (text.startsWith('/')) refuse('unsafe-entry', `entry ${readable(text)} has an absolute name`);
  return clean(text, `entry ${readable(text)}`);
}

/** The target of a hard link: the name of an earlier entry. @throws UnpackError `unsafe-entry` */
export function cleanLinkName(target: Buffer, link: BytePath): BytePath {
  const text = target.toString('latin1');
  if (text === '') refuse('bad-archive', `hard link ${readable(link)} has no target`);
  if (text.startsWith('/')) {
    refuse('unsafe-entry', `hard link ${readable(link)} to ${readable(text)}: target is an absolute name`);
  }
  return clean(text, `hard link ${readable(link)} to ${readable(text)}`);
}

function clean(text: string, subject: string): BytePath {
  const path = /(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(text) ? withoutDots(text, subject) : text;
  if (path.length > MAX_PATH_BYTES) refuse('unsafe-entry', `${shorten(subject)}: path too long`);
  if (path.length > MAX_NAME_BYTES && path.split('/').some((name) => name.length > MAX_NAME_BYTES)) {
    refuse('unsafe-entry', `${shorten(subject)}: file name too long`);
  }
  return path;
}

function withoutDots(text: string, subject: string): BytePath {
  const names = text.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) refuse('unsafe-entry', `${shorten(subject)}: name leads outside of the image`);
  return names.join('/');
}

function shorten(subject: string): string {
  return subject.length > 200 ? `${subject.slice(0, 200)}...` : subject;
}

// (uid_t)-1 means "leave as it is" to chown.
const MAX_ID = 0xffff_fffe;

/**
 * The owner a file gets: the archive's, moved into the range of a user namespace when there is one.
 * @throws UnpackError `unsafe-entry` for ids no file can have or that are outside of the range.
 */
export function shiftedId(
  id: number,
  shift: number,
  range: number | undefined,
  kind: 'uid' | 'gid',
  path: BytePath,
): number {
  const highest = range === undefined ? MAX_ID : range - 1;
  if (id < 0 || id > highest) {
    refuse('unsafe-entry', `entry ${readable(path)}: ${kind} ${id} is not in the range 0 to ${highest}`);
  }
  return id + shift;
}

const SECOND = 1_000_000_000n;
// What ext4 can store (1901 to 2446); other file systems clamp further by themselves.
const EARLIEST = -0x8000_0000n * SECOND;
const LATEST = 0x3_7fff_ffffn * SECOND;

/** A time the file system can store. */
export function clampTime(ns: bigint): bigint {
  if (ns < EARLIEST) return EARLIEST;
  return ns > LATEST ? LATEST : ns;
}

/**
 * Whether files keep this extended attribute (contract stage0 7.6). Never those by which overlayfs would take a file
 * for its own bookkeeping.
 */
export function keepsXattr(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}
