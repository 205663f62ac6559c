// Commands that stay and serve: metadata-service. Runs in stage0.

import { METADATA_PORT } from '@rkt/pod-layout/metadata-service';
import { isIpAddress } from '@rkt/spec/ip-address';
import { quote } from '@rkt/diagnostics/quote';

import { command, type CommandSpec } from '../command.ts';
import { badValue } from '../errors.ts';
import type { Flag } from '../flag.ts';
import { integerFlag, optionalTextFlag } from '../flag-types.ts';
import { present } from '../flags/app.ts';
import type { MetadataServiceFlags } from '../requests.ts';

const listenAddress: Flag<string | undefined> = {
  ...optionalTextFlag('The one address to listen on; 0.0.0.0 for all interfaces', 'IP', {
    defaultDescription: '127.0.0.1, and the host in the networks of registered pods',
  }),
  set: (_previous, text) => {
    if (!isIpAddress(text)) throw badValue(`${quote(text)} is not a valid IP`);
    return text;
  },
};

/** rkt metadata-service */
export const metadataService: CommandSpec = command({
  usage: ['metadata-service'],
  description: [
    'Serves apps their metadata, and signs texts for them. Pods that are run with --mds-register know it as AC_METADATA_URL.',
    'Runs until it gets SIGTERM or SIGINT.',
  ],
  examples: [['metadata-service --listen-port=8080', 'on another port; pods are told']],
  flags: {
    'listen-port': {
      ...integerFlag('TCP port that pods ask at', 0, 65535),
      defaultDescription: String(METADATA_PORT),
    },
    'listen-address': listenAddress,
  },
  build: (values): MetadataServiceFlags => ({
    listenPort: values['listen-port'] ?? METADATA_PORT,
    ...present({ listenAddress: values['listen-address'] }),
  }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/metadata-service.ts'),
});
