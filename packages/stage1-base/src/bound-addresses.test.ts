import assert from 'node:assert/strict';
import { createServer } from 'node:net';

import { boundAddresses } from './bound-addresses.ts';

const HEADER =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const row = (local: string, inode: number): string =>
  `   0: ${local} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0\n`;

describe('addresses of given sockets', () => {
  it('are read from the tables of the kernel', () => {
    const tables: Record<string, string> = {
      tcp: HEADER + row('0100007F:A078', 11) + row('00000000:0050', 99),
      tcp6:
        HEADER +
        row('00000000000000000000000000000000:1F90', 12) +
        row('00000000000000000000000001000000:1F91', 13),
      udp: HEADER + row('00000000:0035', 14),
    };
    const links: Record<number, string> = {
      3: 'socket:[11]',
      4: 'socket:[12]',
      5: 'socket:[13]',
      6: 'socket:[14]',
      7: '/dev/null',
    };
    const found = boundAddresses([3, 4, 5, 6, 7], {
      link: (fd) => links[fd] ?? '',
      table: (name) => tables[name] ?? '',
    });
    assert.deepEqual(found, [
      { protocol: 'tcp', address: '127.0.0.1', port: 41_080 },
      { protocol: 'tcp', address: undefined, port: 8080 },
      { protocol: 'tcp', address: '[0000:0000:0000:0000:0000:0000:0000:0001]', port: 8081 },
      { protocol: 'udp', address: '0.0.0.0', port: 53 },
    ]);
  });

  it('are those that this kernel tells', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as { port: number };
      // node does not tell the descriptor by a documented name.
      const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
      assert.deepEqual(boundAddresses([fd]), [{ protocol: 'tcp', address: '127.0.0.1', port }]);
    } finally {
      server.close();
    }
  });
});
