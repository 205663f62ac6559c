// Journals of pods: whole, growing, rotated, damaged, and full of links.

import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';

import fc from 'fast-check';

import { createLogger } from '@rkt/diagnostics/logger';
import { type Stage1Root, stage1Root } from '@rkt/pod-layout/pod-paths';
import { onHost, JOURNAL_DIR } from '@rkt/pod-layout/stage1-paths';
import { runs } from '@rkt/property-runs/runs';
import { TempDir } from '@rkt/testkit/tmp';

import { Journal } from './journal.ts';
import type { Cursor } from './journal-file.ts';
import { buildJournal, type JournalDescription, type RecordDescription } from './testing/journal-builder.ts';

const record = (second: number, message: string, app = 'a'): RecordDescription => ({
  realtime: BigInt(second) * 1_000_000n,
  fields: ['_PID=1', `SYSLOG_IDENTIFIER=${app}`, `MESSAGE=${message}`],
});

describe('journal', () => {
  let tmp: TempDir;
  let root: Stage1Root;
  let directory: string;
  let notes: string[];
  beforeEach(() => {
    tmp = new TempDir('journal');
    root = stage1Root(tmp.path);
    directory = `${onHost(root, JOURNAL_DIR)}/${'a'.repeat(32)}`;
    mkdirSync(directory, { recursive: true });
    notes = [];
  });
  afterEach(() => tmp.remove());

  const put = (name: string, description: JournalDescription): void =>
    writeFileSync(`${directory}/${name}`, buildJournal(description));
  const open = (cursors?: ReadonlyMap<string, Cursor>): Journal =>
    new Journal(root, createLogger({ prefix: 't', debug: true, write: (line) => notes.push(line) }), cursors);
  const messages = (
    cursors?: ReadonlyMap<string, Cursor>,
  ): { texts: string[]; cursors: Map<string, Cursor> } => {
    using journal = open(cursors);
    const texts: string[] = [];
    for (let entry = journal.next(); entry !== undefined; entry = journal.next()) {
      const text = journal.read(entry);
      if (text !== undefined) texts.push(`${text.identifier ?? '-'}:${text.message ?? '-'}`);
    }
    return { texts, cursors: journal.cursors() };
  };

  for (const compact of [false, true]) {
    it(`reads entries through arrays of all sizes${compact ? ', compact' : ''}`, () => {
      const records = Array.from({ length: 40 }, (_, index) => record(index, `m${index}`, `app${index % 3}`));
      put('system.journal', { records, compact });
      assert.deepEqual(
        messages().texts,
        records.map((_, index) => `app${index % 3}:m${index}`),
      );
    });
  }
  it('reads packed fields, large ones, and entries without message', () => {
    const large = 'x'.repeat(300_000);
    put('system.journal', {
      records: [
        { realtime: 1n, fields: ['A=b', `MESSAGE=${large}`], zstd: true },
        { realtime: 2n, fields: ['MESSAGE=', `Z=${large}`] },
        { realtime: 3n, fields: ['MESSAGES=no'] },
      ],
    });
    assert.deepEqual(messages().texts, [`-:${large}`, '-:', '-:-']);
  });
  it('merges files by time', () => {
    put('system.journal', { records: [record(1, 'a'), record(4, 'd')] });
    put('user-1.journal', { records: [record(2, 'b'), record(3, 'c')], id: 2 });
    put('system@x.journal~', { records: [record(0, 'z')], id: 3 });
    writeFileSync(`${directory}/notes.txt`, 'x');
    assert.deepEqual(messages().texts, ['a:z', 'a:a', 'a:b', 'a:c', 'a:d']);
  });
  it('goes on where it stopped, also when the file was rotated', () => {
    const records = [1, 2, 3, 4, 5].map((second) => record(second, String(second)));
    put('system.journal', { records, claimed: 3 });
    const first = messages();
    assert.deepEqual(first.texts, ['a:1', 'a:2', 'a:3']);
    assert.deepEqual(messages(first.cursors).texts, []);
    put('system.journal', { records });
    renameSync(`${directory}/system.journal`, `${directory}/system@1.journal`);
    put('system.journal', { records: [record(6, '6')], id: 2 });
    assert.deepEqual(messages(first.cursors).texts, ['a:4', 'a:5', 'a:6']);
  });
  it('needs a directory', () => {
    root = stage1Root(tmp.join('nowhere'));
    assert.throws(() => open(), { code: 'no-journal' });
    mkdirSync(root);
    assert.throws(() => open(), { code: 'no-journal' });
  });
  it('follows no link out of the pod', () => {
    const outside = tmp.join('outside');
    mkdirSync(outside);
    writeFileSync(`${outside}/system.journal`, buildJournal({ records: [record(1, 'secret')] }));
    symlinkSync(outside, `${onHost(root, JOURNAL_DIR)}/machine`);
    symlinkSync(`${outside}/system.journal`, `${directory}/x.journal`);
    assert.deepEqual(messages().texts, []);
    root = stage1Root(tmp.join('pod'));
    mkdirSync(`${root}/var/log`, { recursive: true });
    symlinkSync(outside, `${root}/var/log/journal`);
    assert.throws(() => open(), { code: 'no-journal' });
  });
  it('reads what it can of damaged files', () => {
    const records = [record(1, 'a'), record(2, 'b')];
    put('good.journal', { records });
    put('claims.journal', { records: [record(3, 'c')], claimed: 9, id: 2 });
    writeFileSync(`${directory}/empty.journal`, '');
    mkdirSync(`${directory}/directory.journal`);
    assert.deepEqual(messages().texts, ['a:a', 'a:b', 'a:c']);
    assert.match(notes.join(''), /claims\.journal is damaged/);
  });
  it('names what it cannot read', () => {
    put('new.journal', { records: [], incompatibleFlags: 64 });
    assert.throws(() => open(), { code: 'unsupported', message: /new\.journal needs a newer reader/ });
  });
  it('comes to an end, whatever is in the file', () => {
    const whole = buildJournal({
      records: [record(1, 'a'), record(2, 'b'), { ...record(3, 'c'.repeat(600)), zstd: true }],
    });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        fc.nat(whole.length),
        (changes, cut) => {
          const bytes = Buffer.from(whole.subarray(0, cut > whole.length / 2 ? cut : whole.length));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          writeFileSync(`${directory}/system.journal`, bytes);
          try {
            messages();
          } catch (error) {
            assert.equal((error as { code?: unknown }).code, 'unsupported');
          }
        },
      ),
      { numRuns: runs(500) },
    );
  });
});
