// The forms in which entries are printed.

import assert from 'node:assert/strict';

import { entryFormatter, type LogFormat } from './format.ts';
import type { JournalEntry } from '../journal/journal-file.ts';

const ENTRY: JournalEntry = {
  seqnum: 1,
  realtimeUs: new Date(2026, 10, 6, 9, 5, 7).getTime() * 1000 + 123_456,
  message: Buffer.from('hello'),
  identifier: 'web',
  unit: 'web.service',
  pid: '17',
  priority: '6',
};

describe('forms of log output', () => {
  const printed = (format: LogFormat, change: Partial<JournalEntry> = {}, terminal = false): string =>
    entryFormatter(format, terminal)({ ...ENTRY, ...change }, 'web').toString('latin1');

  it('short has the local time, the name and the process', () => {
    assert.equal(printed('short'), 'Nov 06 09:05:07 web[17]: hello\n');
    assert.equal(printed('short', { identifier: 'nginx' }), 'Nov 06 09:05:07 nginx[17]: hello\n');
    assert.equal(printed('short', { identifier: 'a\nb' }), 'Nov 06 09:05:07 web[17]: hello\n');
  });
  it('short puts the lines of one entry below each other', () => {
    const message = Buffer.from('a\nb\n');
    assert.equal(
      printed('short', { message }),
      `Nov 06 09:05:07 web[17]: a\n${' '.repeat('Nov 06 09:05:07 web[17]: '.length)}b\n`,
    );
  });
  it('cat gives the bytes of the app', () => {
    const message = Buffer.from('\x1b[1m\xff\x00', 'latin1');
    assert.equal(printed('cat', { message }), '\x1b[1m\xff\x00\n');
  });
  it('an entry without a message is an empty line', () => {
    const entry = { seqnum: 1, realtimeUs: ENTRY.realtimeUs };
    assert.equal(entryFormatter('cat', false)(entry, 'web').toString(), '\n');
    assert.equal(entryFormatter('short', false)(entry, 'web').toString(), 'Nov 06 09:05:07 web: \n');
  });
  it('on a terminal nothing steers it', () => {
    const message = Buffer.from('\x1b[1m\ta\u009bb\x07\r');
    assert.equal(printed('cat', { message }, true), '\\x1b[1m\ta\\x9bb\\x07\\x0d\n');
  });
  it('json has the names of journalctl, and bytes where there is no text', () => {
    assert.deepEqual(JSON.parse(printed('json')), {
      __REALTIME_TIMESTAMP: String(ENTRY.realtimeUs),
      SYSLOG_IDENTIFIER: 'web',
      _SYSTEMD_UNIT: 'web.service',
      _PID: '17',
      PRIORITY: '6',
      MESSAGE: 'hello',
    });
    const message = Buffer.from([0xff, 0x41]);
    assert.deepEqual((JSON.parse(printed('json', { message })) as { MESSAGE: unknown }).MESSAGE, [255, 65]);
  });
});
