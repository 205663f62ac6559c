// Commands that run until they are told to end: api-service. Runs in stage0.

import { command, type CommandSpec } from '../command.ts';
import { textFlag } from '../flag-types.ts';
import type { ApiServiceFlags } from '../requests.ts';

/** rkt api-service */
export const apiService: CommandSpec = command({
  usage: ['api-service'],
  description: [
    'Tells other programs about pods and images over gRPC, without encryption and without the right to change ' +
      'anything. Any user who may read the data directory can run it.',
    'Listens on the sockets that systemd passes, else on --listen.',
  ],
  examples: [['api-service --listen=127.0.0.1:15441', 'for programs of this machine']],
  flags: {
    listen: textFlag('Address to listen on', 'HOST:PORT', '', { defaultDescription: 'localhost:15441' }),
  },
  build: ({ listen }): ApiServiceFlags => ({ listen }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/api-service.ts'),
});
