// Addresses and passed sockets of the API service (contract stage1 7.1).

import assert from 'node:assert/strict';

import { listenOn, parseAddress, passedSockets } from './sockets.ts';

describe('sockets of the API service', () => {
  it('reads addresses', () => {
    assert.deepEqual(parseAddress('localhost:15441'), { host: 'localhost', port: 15_441 });
    assert.deepEqual(parseAddress('[::1]:1'), { host: '::1', port: 1 });
    assert.deepEqual(parseAddress(':80'), { host: '', port: 80 });
    for (const bad of ['localhost', '::1:80', 'a:b', 'a:65536', 'a:-1', '', 'a:']) {
      assert.throws(() => parseAddress(bad), { code: 'socket' }, bad);
    }
  });
  it('counts sockets that were passed to this very process', () => {
    assert.equal(passedSockets({ LISTEN_FDS: '2', LISTEN_PID: '7' }, 7), 2);
    assert.equal(passedSockets({ LISTEN_FDS: '2', LISTEN_PID: '8' }, 7), 0);
    assert.equal(passedSockets({ LISTEN_FDS: '2' }, 7), 0);
    assert.equal(passedSockets({ LISTEN_FDS: 'x', LISTEN_PID: '7' }, 7), 0);
    assert.equal(passedSockets({}, 7), 0);
  });
  it('says which address is taken', async () => {
    const first = await listenOn('127.0.0.1:0', (socket) => socket.destroy());
    await assert.rejects(
      listenOn(first.where, (socket) => socket.destroy()),
      { code: 'EADDRINUSE' },
    );
    for (const server of first.servers) server.close();
  });
});
