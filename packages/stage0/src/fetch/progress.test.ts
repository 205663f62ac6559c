import assert from 'node:assert/strict';

import { decimalSize, Progress } from './progress.ts';

function recorder(isTerminal: boolean): {
  text: string[];
  now: number;
  progress: (total?: number) => Progress;
} {
  const record = {
    text: [] as string[],
    now: 0,
    progress: (total?: number): Progress =>
      new Progress('Downloading ACI', total, {
        isTerminal,
        write: (text) => record.text.push(text),
        now: () => record.now,
      }),
  };
  return record;
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
});
