import assert from 'node:assert/strict';

import { decimalSize, Progress, ProgressDisplay } from './progress.ts';

interface Recorder {
  readonly text: string[];
  now: number;
  readonly display: ProgressDisplay;
  progress(total?: number, label?: string): Progress;
}

function recorder(isTerminal: boolean, columns = 80): Recorder {
  const text: string[] = [];
  const record: Recorder = {
    text,
    now: 0,
    display: new ProgressDisplay({
      isTerminal,
      columns,
      write: (piece) => text.push(piece),
      now: () => record.now,
    }),
    progress: (total, label = 'Downloading ACI') => new Progress(label, total, record.display),
  };
  return record;
}

const ESCAPE = '\u001B';

/** What a terminal shows after all of this, line by line. */
function screen(pieces: readonly string[]): string[] {
  const lines = [''];
  let [row, column] = [0, 0];
  for (const [token] of pieces.join('').matchAll(new RegExp(`${ESCAPE}\\[\\d*[AJ]|[^]`, 'gu'))) {
    if (token.endsWith('A') && token.length > 2) row -= Number(token.slice(2, -1));
    else if (token === `${ESCAPE}[J`) {
      lines.length = row + 1;
      lines[row] = (lines[row] ?? '').slice(0, column);
    } else if (token === '\r') column = 0;
    else if (token === '\n') {
      row += 1;
      column = 0;
      lines[row] ??= '';
    } else {
      const line = lines[row] ?? '';
      lines[row] = line.slice(0, column) + token + line.slice(column + 1);
      column += 1;
    }
  }
  return lines;
}

describe('download progress', () => {
  it('is a bar of 80 columns on a terminal, redrawn once a second', () => {
    const record = recorder(true);
    const progress = record.progress(3_400_000);
    progress.update(100);
    assert.deepEqual(record.text, []);
    record.now = 1000;
    progress.update(1_200_000);
    record.now = 1500;
    progress.update(1_300_000);
    record.now = 2000;
    progress.finish(3_400_000);
    const [first = '', last = '', end] = record.text;
    assert.equal(record.text.length, 3);
    assert.match(first, /^\rDownloading ACI: \[=+ +\] 1\.2 MB\/3\.4 MB$/);
    assert.match(last, /^\rDownloading ACI: \[=+\] 3\.4 MB\/3\.4 MB$/);
    assert.equal(first.length, 81);
    assert.equal(last.length, 81);
    assert.equal(end, '\n');
  });
  it('covers a longer line before it', () => {
    const record = recorder(true);
    const progress = record.progress();
    record.now = 1000;
    progress.update(999_999);
    progress.finish(1_000_000);
    const [first = '', last = ''] = record.text;
    assert.ok(last.length >= first.length);
  });
  it('is plain lines elsewhere', () => {
    const record = recorder(false);
    const progress = record.progress(2000);
    record.now = 1000;
    progress.update(500);
    progress.finish(2000);
    assert.deepEqual(record.text, ['Downloading ACI: 500 B/2 KB\n', 'Downloading ACI: 2 KB/2 KB\n']);
  });
  it('does without a total', () => {
    const record = recorder(false);
    record.progress().finish(1_234_567);
    assert.deepEqual(record.text, ['Downloading ACI: 1.23 MB of an unknown total size\n']);
    const empty = recorder(true);
    empty.progress(0).finish(0);
    assert.match(empty.text[0] ?? '', /\[=+\] 0 B\/0 B/);
  });
  it('counts in decimal units with three digits', () => {
    const vectors = {
      0: '0 B',
      999: '999 B',
      1000: '1 KB',
      1234: '1.23 KB',
      123_456: '123 KB',
      12_345_678: '12.3 MB',
    };
    for (const [bytes, text] of Object.entries(vectors)) assert.equal(decimalSize(Number(bytes)), text);
  });

  describe('of several downloads', () => {
    it('has one line each, in the order of their beginnings', () => {
      const record = recorder(true);
      const [a, b] = [record.progress(1000, 'a'), record.progress(2000, 'b')];
      record.now = 1000;
      a.update(500);
      assert.match(screen(record.text).join('\n'), /^a: \[=+ +\] 500 B\/1 KB\nb: \[ +\] 0 B\/2 KB$/);
      const c = record.progress(3000, 'c');
      record.now = 2000;
      b.update(2000);
      assert.deepEqual(
        screen(record.text).map((line) => line[0]),
        ['a', 'b', 'c'],
      );
      b.finish(2000);
      a.finish(1000);
      assert.ok(!record.text.includes('\n'));
      c.finish(3000);
      const lines = screen(record.text);
      assert.equal(lines.length, 4);
      assert.match(lines.join('\n'), /^a: \[=+\] 1 KB\/1 KB\nb: \[=+\] 2 KB\/2 KB\nc: \[=+\] 3 KB\/3 KB\n$/);
    });
    it('goes by their positions, whichever began first', () => {
      const record = recorder(true);
      const late = new Progress('late', 1000, record.display, 1);
      record.now = 1000;
      late.update(500);
      const early = new Progress('early', 2000, record.display, 0);
      record.now = 2000;
      early.update(1000);
      assert.deepEqual(
        screen(record.text).map((line) => line.split(':')[0]),
        ['early', 'late'],
      );
    });
    it('makes room for messages above', () => {
      const record = recorder(true);
      const [a, b] = [record.progress(1000, 'a'), record.progress(2000, 'b')];
      record.display.interrupt(() => record.text.push('early\n'));
      record.now = 1000;
      a.update(500);
      record.display.interrupt(() => record.text.push('message\n'));
      a.finish(1000);
      b.finish(2000);
      const lines = screen(record.text);
      assert.deepEqual(
        lines.map((line) => line.slice(0, 7).trim()),
        ['early', 'message', 'a: [===', 'b: [===', ''],
      );
    });
    it('is out of the way while the user is asked', async () => {
      const record = recorder(true);
      const bar = record.progress(1000, 'a');
      record.now = 1000;
      bar.update(500);
      await record.display.pausedFor(async () => {
        record.text.push('sure? ');
        record.now = 2000;
        bar.update(700);
        await Promise.resolve();
        record.text.push('yes\n');
      });
      bar.finish(1000);
      assert.match(screen(record.text).join('\n'), /^sure\? yes\na: \[=+\] 1 KB\/1 KB\n$/);
    });
    it('ends the line of one that failed', () => {
      const record = recorder(true);
      const failing = record.progress(1000);
      record.now = 1000;
      failing.update(500);
      failing[Symbol.dispose]();
      assert.equal(record.text.at(-1), '\n');
      const silent = record.progress(1000);
      silent[Symbol.dispose]();
      assert.equal(record.text.length, 2);
    });
    it('never wraps', () => {
      const record = recorder(true, 40);
      record.progress(1000).finish(1000);
      assert.equal(record.text[0]?.length, 41);
    });
    it('is told apart by lines elsewhere', () => {
      const record = recorder(false);
      const [a, b] = [record.progress(1000, 'Downloading ACI a'), record.progress(2000, 'Downloading ACI b')];
      record.now = 1000;
      b.update(10);
      a.update(20);
      assert.deepEqual(record.text, ['Downloading ACI b: 10 B/2 KB\n', 'Downloading ACI a: 20 B/1 KB\n']);
    });
  });
});
