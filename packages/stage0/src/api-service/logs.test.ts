// GetLogs as a client sees it (contract stage1 7.5).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';

import { createLogger } from '@rkt/diagnostics/logger';
import { dataDir } from '@rkt/pod-layout/data-dir';
import { podDir, stage1Rootfs } from '@rkt/pod-layout/pod-paths';
import { JOURNAL_DIR, onHost } from '@rkt/pod-layout/stage1-paths';
import { ApiClient } from '@rkt/testkit/api-client';
import { buildPod } from '@rkt/testkit/pod-builder';
import { TempDir } from '@rkt/testkit/tmp';

import { journalBytes, type WrittenEntry } from '../journal/testing/journal-bytes.ts';
import { timestamp } from './logs.ts';
import { type ApiServer, createApiServer } from './server.ts';
import { listenOn } from './sockets.ts';

const SECOND = 1_000_000;
const START = 1_700_000_000;
const record = (second: number, app: string, message: string): WrittenEntry => ({
  seqnum: second + 1,
  realtimeUs: (START + second) * SECOND + 5,
  fields: [`SYSLOG_IDENTIFIER=${app}`, `MESSAGE=${message}`],
});

describe('GetLogs', () => {
  let tmp: TempDir;
  let api: ApiServer;
  let servers: readonly Server[];
  let client: ApiClient;
  let address: string;
  let uuid: string;
  let journal: string;
  const end = new AbortController();
  before(async () => {
    tmp = new TempDir('logs');
    const logger = createLogger({ prefix: 'test', write: () => undefined });
    api = createApiServer({ data: dataDir(tmp.path), info: {} as never, logger, signal: end.signal });
    const listening = await listenOn('127.0.0.1:0', api.accept);
    servers = listening.servers;
    address = listening.where;
    client = await ApiClient.connect(address);
  });
  after(async () => {
    client.close();
    for (const server of servers) server.close();
    end.abort();
    await api.stop();
    tmp.remove();
  });
  beforeEach(() => {
    const pod = buildPod(tmp.path, { directory: 'run', startedAt: new Date() });
    uuid = pod.uuid;
    const directory = `${onHost(stage1Rootfs(podDir(pod.dir)), JOURNAL_DIR)}/m`;
    mkdirSync(directory, { recursive: true });
    journal = `${directory}/system.journal`;
    put([
      record(0, 'web', 'one'),
      record(1, 'db', 'two'),
      record(2, 'web', 'three\n\nfour'),
      record(3, 'web', ''),
    ]);
  });

  // `claimed` entries of them are there already.
  const put = (records: readonly WrittenEntry[], claimed: number = records.length): void =>
    writeFileSync(journal, journalBytes(records, { claimed }));
  const batches = async (request: object): Promise<readonly (readonly string[])[]> => {
    const found: (readonly string[])[] = [];
    await client.stream<{ lines: readonly string[] }>(
      'GetLogs',
      { pod_id: uuid, ...request },
      ({ lines }) => {
        found.push(lines);
      },
    );
    return found;
  };
  const texts = async (request: object): Promise<readonly string[]> =>
    (await batches(request)).flat().map((line) => line.replace(/^\d{4}-.{10,40} [A-Z]+ /, ''));

  it('gives all lines but empty ones in one message', async () => {
    const [lines = [], ...more] = await batches({});
    assert.deepEqual(more, []);
    assert.deepEqual(lines, [
      `${timestamp(START * SECOND + 5)} one`,
      `${timestamp((START + 1) * SECOND + 5)} two`,
      `${timestamp((START + 2) * SECOND + 5)} three`,
      'four',
      `${timestamp((START + 3) * SECOND + 5)} `,
    ]);
    assert.match(lines[0] ?? '', /^2023-11-1\d \d\d:\d\d:20\.000005 [+-]\d{4} \S+ one$/);
  });
  it('prints times as Go does', () => {
    assert.match(timestamp(START * SECOND), /^2023-11-1\d \d\d:\d\d:20 [+-]\d{4} \S+$/);
    assert.match(timestamp(START * SECOND + 120_000), /:20\.12 [+-]/);
  });
  it('filters by app, by time, and takes the last', async () => {
    assert.deepEqual(await texts({ app_name: 'db' }), ['two']);
    assert.deepEqual(await texts({ app_name: 'none' }), []);
    assert.deepEqual(await texts({ since_time: String(START + 2) }), ['three', 'four', '']);
    assert.deepEqual(await texts({ lines: 3, app_name: 'web' }), ['one', 'three', 'four', '']);
    assert.deepEqual(await texts({ lines: 1 }), ['']);
    assert.deepEqual(await texts({ until_time: String(START) }), ['one', 'two', 'three', 'four', '']);
  });
  it('gives one empty message when there is nothing', async () => {
    put([]);
    assert.deepEqual(await batches({}), [[]]);
  });
  it('follows the journal until the client has enough', async () => {
    const records = [
      record(0, 'web', 'one'),
      record(1, 'db', 'two'),
      record(2, 'web', 'three'),
      record(3, 'db', 'four'),
      record(4, 'web', 'five'),
      record(5, 'db', 'six'),
    ];
    put(records, 2);
    const seen: string[] = [];
    await client.stream<{ lines: readonly string[] }>(
      'GetLogs',
      { pod_id: uuid, follow: true, lines: 1, app_name: 'db' },
      ({ lines }) => {
        seen.push(...lines.map((line) => line.split(' ').at(-1) ?? ''));
        put(records, 2 + 2 * Math.min(seen.length, 2));
        return seen.length === 3;
      },
    );
    assert.deepEqual(seen, ['two', 'four', 'six']);
  });
  it('passes over entries without a message, and merges the directories of all machines', async () => {
    const entries = [record(4, 'web', 'x'), { ...record(5, 'web', ''), fields: ['SYSLOG_IDENTIFIER=web'] }];
    const other = join(dirname(journal), '../n');
    mkdirSync(other);
    writeFileSync(join(other, 'user-1.journal'), journalBytes(entries, { seqnumId: 2, id: 2 }));
    assert.deepEqual(await texts({ app_name: 'web' }), ['one', 'three', 'four', '', 'x']);
    assert.deepEqual(await texts({ lines: 2 }), ['', 'x']);
  });
  it('refuses a journal with compressions or features that it cannot read', async () => {
    const bytes = journalBytes([record(0, 'web', 'one')]);
    const array = Number(bytes.readBigUInt64LE(176));
    bytes.writeUInt8(2, bytes.readUInt32LE(bytes.readUInt32LE(array + 24) + 64) + 1);
    writeFileSync(journal, bytes);
    const details = /^cannot read journal file "system\.journal": it is compressed by lz4/;
    await assert.rejects(batches({}), { details });
    bytes.writeUInt32LE(64, 12);
    writeFileSync(journal, bytes);
    await assert.rejects(batches({}), { details: /"system\.journal": it has unknown features \(64\)/ });
  });
  it('splits what is too large for a message, and loses nothing', async () => {
    const records = Array.from({ length: 3000 }, (_, index) =>
      record(index, 'web', `${index} ${'x'.repeat(2000)}`),
    );
    put(records);
    const found = await batches({});
    assert.ok(found.length >= 6, `${found.length} messages`);
    assert.ok(found.every((lines) => lines.join('').length <= 1024 * 1024));
    assert.deepEqual(
      found.flat().map((line) => Number(line.split(' ').at(-2))),
      records.map((_, index) => index),
    );
  });
  it('refuses pods without journal, and no pods', async () => {
    const other = buildPod(tmp.path, { directory: 'run', startedAt: new Date() });
    await assert.rejects(batches({ pod_id: other.uuid }), {
      code: 9,
      details: `logging unsupported for pod "${other.uuid}"`,
    });
    await assert.rejects(batches({ pod_id: 'ffffffff-ffff' }), { code: 5 });
    await assert.rejects(batches({ pod_id: '' }), { code: 3 });
  });
  it('answers others while logs are followed, but does not follow without end', async () => {
    const records = [record(0, 'web', 'one'), record(1, 'web', 'two')];
    put(records, 1);
    let reading = 0;
    const followers: Promise<unknown>[] = [];
    await new Promise<void>((resolve) => {
      for (let count = 0; count < 64; count += 1) {
        const take = ({ lines }: { lines: readonly string[] }): boolean => {
          reading += 1;
          if (reading === 64) resolve();
          return lines.some((line) => line.endsWith('two'));
        };
        followers.push(client.stream('GetLogs', { pod_id: uuid, follow: true }, take));
      }
    });
    using other = await ApiClient.connect(address);
    assert.deepEqual(await other.call('ListImages'), { images: [] });
    await assert.rejects(
      other.stream('GetLogs', { pod_id: uuid }, () => undefined),
      { code: 8 },
    );
    put(records);
    await Promise.all(followers);
    // The service learns of the ends a moment after the client.
    for (let isBusy = true; isBusy;) {
      try {
        assert.deepEqual(await texts({}), ['one', 'two']);
        isBusy = false;
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, 8);
      }
    }
  });

  it('ends with the service, also for a client that does not read', async () => {
    put(Array.from({ length: 4000 }, (_, index) => record(index, 'web', 'x'.repeat(2000))));
    const stopping = new AbortController();
    const logger = createLogger({ prefix: 'test', write: () => undefined });
    const second = createApiServer({
      data: dataDir(tmp.path),
      info: {} as never,
      logger,
      signal: stopping.signal,
    });
    const listening = await listenOn('127.0.0.1:0', second.accept);
    using follower = await ApiClient.connect(listening.where);
    let started: () => void = () => undefined;
    const isStarted = new Promise<void>((resolve) => (started = resolve));
    const following = follower.stream('GetLogs', { pod_id: uuid, follow: true, lines: 1 }, () => started());
    await isStarted;
    // One message without compression: pod_id = 1.
    const request = Buffer.concat([Buffer.from([0x0a, uuid.length]), Buffer.from(uuid)]);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(request.length, 1);
    const session = connect(`http://${listening.where}`);
    session.on('error', () => undefined);
    const deaf = session.request({
      ':method': 'POST',
      ':path': '/v1alpha.PublicAPI/GetLogs',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    deaf.on('error', () => undefined);
    deaf.pause();
    deaf.end(Buffer.concat([head, request]));
    await once(deaf, 'response');
    // It is answered while its window is full.
    assert.deepEqual(await follower.call('ListImages'), { images: [] });

    for (const server of listening.servers) server.close();
    stopping.abort();
    const before = performance.now();
    await second.stop();
    assert.equal((await following).code, 0);
    assert.ok(performance.now() - before < 8000);
    session.destroy();
  });
});
