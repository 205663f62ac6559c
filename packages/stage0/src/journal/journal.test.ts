// Reading journals: entries in order, places, growth and rotation, and files that somebody made up.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';

import { O_DIRECTORY, O_RDONLY } from '@rkt/linux/constants';
import { runs } from '@rkt/property-runs/runs';
import { TempDir } from '@rkt/testkit/tmp';
import fc from 'fast-check';

import { JournalError } from './errors.ts';
import { Journal, type JournalOptions } from './journal.ts';
import { type JournalEntry, JournalFile } from './journal-file.ts';
import { appEntry, journalBytes, type WrittenEntry } from './testing/journal-bytes.ts';

const texts = (entries: Iterable<JournalEntry>): string[] =>
  [...entries].map(({ message }) => message?.toString() ?? 'none');

describe('journal files', () => {
  let tmp: TempDir;
  before(() => {
    tmp = new TempDir('journal-file');
  });
  after(() => tmp.remove());

  function readAll(bytes: Buffer): JournalEntry[] {
    const path = tmp.join('a.journal');
    writeFileSync(path, bytes);
    const fd = openSync(path, 'r');
    try {
      const file = new JournalFile(fd);
      return Array.from({ length: file.count }, (_, index) => file.entry(index));
    } finally {
      closeSync(fd);
    }
  }

  it('give back what was written, in both forms, compressed or not', () => {
    const text = fc.oneof(fc.string(), fc.uint8Array({ maxLength: 3000 }).map(Buffer.from));
    fc.assert(
      fc.property(
        fc.array(text, { maxLength: 40 }),
        fc.record({
          compact: fc.boolean(),
          compressAbove: fc.constantFrom(8, 512, Infinity),
          firstArray: fc.integer({ min: 1, max: 5 }),
        }),
        (messages, options) => {
          const written = messages.map((message, index) => appEntry(index + 1, message));
          const read = readAll(journalBytes(written, options));
          assert.deepEqual(
            read,
            messages.map((message, index) => ({
              seqnum: index + 1,
              realtimeUs: (index + 1) * 1_000_000,
              message: Buffer.from(message),
              identifier: 'web',
              unit: 'web.service',
              pid: '7',
              priority: '6',
            })),
          );
        },
      ),
      { numRuns: runs(60) },
    );
  });
  it('tell no message from an empty one', () => {
    const entries = [['MESSAGE='], ['MESSAGES=no']].map((fields) => ({ seqnum: 1, realtimeUs: 1, fields }));
    assert.deepEqual(texts(readAll(journalBytes(entries))), ['', 'none']);
  });
  it('longer than a block are read across its edges', () => {
    const messages = Array.from({ length: 200 }, (_, index) => `${index}`.padStart(1777, 'x'));
    const read = readAll(journalBytes(messages.map((message, index) => appEntry(index + 1, message))));
    assert.deepEqual(texts(read), messages);
    const long = 'y'.repeat(1 << 20);
    assert.deepEqual(texts(readAll(journalBytes([appEntry(1, long)]))), [long]);
  });
  it('that are damaged anywhere end in an error or in entries, soon', () => {
    const bytes = journalBytes(
      Array.from({ length: 12 }, (_, index) => appEntry(index + 1, `text ${index}`.repeat(20))),
      { compressAbove: 64 },
    );
    const damage = fc.record({
      offset: fc.nat(bytes.length - 1),
      value: fc.uint8Array({ minLength: 1, maxLength: 9 }),
    });
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), fc.nat(bytes.length), (all, end) => {
        const broken = Buffer.from(bytes);
        for (const { offset, value } of all) broken.set(value.subarray(0, bytes.length - offset), offset);
        try {
          readAll(broken.subarray(0, end === 0 ? undefined : end + 208));
        } catch (error) {
          assert.ok(error instanceof JournalError, String(error));
        }
      }),
      { numRuns: runs(500) },
    );
  });
  it('are refused when they are none, from the future, or go round', () => {
    const bytes = journalBytes(
      [1, 2, 3].map((seqnum) => appEntry(seqnum, 'x')),
      { firstArray: 1 },
    );
    const changed = (change: (copy: Buffer) => void): Buffer => {
      const copy = Buffer.from(bytes);
      change(copy);
      return copy;
    };
    assert.throws(() => readAll(Buffer.from('x')), /ends before byte 208/);
    assert.throws(() => readAll(changed((copy) => copy.fill(0, 0, 8))), /no journal file/);
    assert.throws(() => readAll(changed((copy) => copy.writeUInt32LE(64, 12))), /unknown features/);
    const array = Number(bytes.readBigUInt64LE(176));
    assert.throws(
      () => readAll(changed((copy) => copy.writeBigUInt64LE(BigInt(array), array + 16))),
      /its entries go round/,
    );
    assert.throws(
      () => readAll(changed((copy) => copy.writeBigUInt64LE(1n << 60n, array + 8))),
      /a number is too large/,
    );
    assert.throws(
      () => readAll(changed((copy) => copy.writeBigUInt64LE(1n << 48n, array + 8))),
      /no entries at byte/,
    );
    assert.throws(
      () =>
        readAll(
          changed((copy) => copy.writeUInt8(2, copy.readUInt32LE(copy.readUInt32LE(array + 24) + 64) + 1)),
        ),
      /compressed by lz4, which rkt cannot read/,
    );
  });
});

describe('journals', () => {
  let tmp: TempDir;
  let warnings: string[];
  let journal: Journal | undefined;
  beforeEach(() => {
    tmp = new TempDir('journal');
    mkdirSync(tmp.join('j'));
    warnings = [];
  });
  afterEach(() => {
    journal?.[Symbol.dispose]();
    journal = undefined;
    tmp.remove();
  });
  const put = (
    name: string,
    entries: readonly WrittenEntry[],
    options: Parameters<typeof journalBytes>[1] = {},
  ): void => writeFileSync(tmp.join('j', name), journalBytes(entries, options), { flag: 'r+' });
  const make = (name: string, ...args: Parameters<typeof journalBytes>): void => {
    writeFileSync(tmp.join('j', name), '');
    put(name, ...args);
  };
  function open(options?: JournalOptions): Journal {
    const fd = openSync(tmp.join('j'), O_RDONLY | O_DIRECTORY);
    journal?.[Symbol.dispose]();
    journal = undefined;
    journal = new Journal([fd], (line) => warnings.push(line), options);
    return journal;
  }
  const numbered = (from: number, to: number): WrittenEntry[] =>
    Array.from({ length: to - from + 1 }, (_, index) => appEntry(from + index, `${from + index}`));
  const range = (from: number, to: number): string[] =>
    numbered(from, to).map(({ seqnum }) => String(seqnum));

  it('put the entries of all files in order', () => {
    make('system@1.journal', [...numbered(1, 3), ...numbered(7, 9)]);
    make('user-1.journal~', numbered(4, 6));
    make('system.journal', [appEntry(1, 'other', { realtimeUs: 5_500_000 })], { seqnumId: 2 });
    make('notes.txt', []);
    assert.deepEqual(texts(open().read()), ['1', '2', '3', '4', '5', 'other', '6', '7', '8', '9']);
    assert.deepEqual(warnings, []);
  });
  it('start at a time, or at the last that are wanted', () => {
    make('system@1.journal', numbered(1, 50));
    make('system.journal', numbered(51, 99));
    const opened = open();
    opened.seek(97_000_000);
    assert.deepEqual(texts(opened.read()), range(97, 99));
    opened.seek(0);
    opened.seekLast(3, ({ seqnum }) => seqnum % 2 === 0);
    assert.deepEqual(texts(opened.read()), range(94, 99));
    opened.seek(98_000_000);
    opened.seekLast(60, () => true);
    assert.deepEqual(texts(opened.read()), range(98, 99));
    opened.seek(0);
    opened.seekLast(55, () => true);
    assert.deepEqual(texts(opened.read()), range(45, 99));
    opened.seek(0);
    opened.seekLast(0, () => true);
    assert.deepEqual(texts(opened.read()), []);
  });
  it('grow, and are rotated', () => {
    writeFileSync(tmp.join('j/system.journal'), '');
    const opened = open();
    assert.deepEqual(texts(opened.read()), []);
    let last = 0;
    for (const next of [1, 2, 9, 40]) {
      put('system.journal', numbered(1, next));
      opened.refresh();
      assert.deepEqual(texts(opened.read()), range(last + 1, next));
      last = next;
    }
    put('system.journal', numbered(1, 42));
    renameSync(tmp.join('j/system.journal'), tmp.join('j/system@1.journal'));
    make('system.journal', numbered(43, 45));
    opened.refresh();
    assert.deepEqual(texts(opened.read()), range(41, 45));
    assert.deepEqual(warnings, []);
  });
  it('are read on where another reader stopped, also when they were rotated', () => {
    make('system.journal', numbered(1, 5), { claimed: 3 });
    const first = open();
    assert.deepEqual(texts(first.read()), range(1, 3));
    const places = first.places();
    const rest = (): string[] => {
      const next = open();
      next.goTo(places);
      return texts(next.read());
    };
    assert.deepEqual(rest(), []);
    put('system.journal', numbered(1, 5));
    renameSync(tmp.join('j/system.journal'), tmp.join('j/system@1.journal'));
    make('system.journal', numbered(6, 6), { id: 2 });
    assert.deepEqual(rest(), range(4, 6));
    // A file that has the place of a former one is not that one.
    put('system@1.journal', numbered(1, 5), { id: 3 });
    assert.deepEqual(rest(), range(1, 6));
  });
  it('of unknown kinds are passed over or refused', () => {
    const bytes = journalBytes(numbered(1, 1));
    bytes.writeUInt32LE(64, 12);
    writeFileSync(tmp.join('j/new.journal'), bytes);
    assert.deepEqual(texts(open().read()), []);
    assert.match(warnings.join('\n'), /"new\.journal" cannot be read whole: it has unknown features/);
    assert.throws(() => open({ refuseUnsupported: true }), {
      code: 'unsupported',
      message: /"new\.journal"/,
    });
  });
  it('come to an end in both directions, whatever is in a file', () => {
    const whole = journalBytes(numbered(1, 9), { compressAbove: 12 });
    const damage = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 8 }), fc.nat(whole.length), (changes, cut) => {
        const bytes = Buffer.from(whole.subarray(0, cut > whole.length / 2 ? cut : whole.length));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        writeFileSync(tmp.join('j/system.journal'), bytes);
        const opened = open();
        opened.seek(3_000_000);
        assert.ok([...opened.readBack()].length <= bytes.length);
        assert.ok([...opened.read()].length <= bytes.length);
      }),
      { numRuns: runs(200) },
    );
  });
  it('pass over what is damaged, and say so once', () => {
    const bytes = journalBytes(numbered(1, 8), { firstArray: 8 });
    const array = Number(bytes.readBigUInt64LE(176));
    for (const index of [2, 5]) bytes.writeUInt32LE(8, array + 24 + index * 4);
    writeFileSync(tmp.join('j/system.journal'), bytes);
    writeFileSync(tmp.join('j/system@2.journal'), 'no journal'.repeat(40));
    const opened = open();
    assert.deepEqual(texts(opened.read()), ['1', '2', '4', '5', '7', '8']);
    opened.refresh();
    assert.equal(warnings.length, 2);
    assert.match(warnings.join('\n'), /"system@2.journal" cannot be read whole: it is no journal file/);
  });
  it('follow no link, and wait for no fifo', () => {
    writeFileSync(tmp.join('secret.journal'), journalBytes(numbered(1, 1)));
    symlinkSync(tmp.join('secret.journal'), tmp.join('j/system.journal'));
    execFileSync('mkfifo', [tmp.join('j/fifo.journal')]);
    mkdirSync(tmp.join('j/directory.journal'));
    assert.deepEqual(texts(open().read()), []);
  });
});
