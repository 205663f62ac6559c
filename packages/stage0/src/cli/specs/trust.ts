// The command about signing keys (contract stage0 6.5). Runs in stage0.

import { command, type CommandSpec } from '../command.ts';
import { booleanFlag, optionalTextFlag } from '../flag-types.ts';
import type { TrustFlags } from '../requests.ts';

/** rkt trust */
export const trust: CommandSpec = command({
  usage: [
    'trust [--prefix=PREFIX] [--insecure-allow-http] [--skip-fingerprint-review] [--root] [PUBKEY ...]',
  ],
  description: [
    'Trusts a public key to sign images: those whose name starts with PREFIX, or with --root all of them.',
    'PUBKEY is a file or an https URL. Without one, the keys that the owner of PREFIX publishes by meta discovery are taken.',
    'Each key is shown and trusted only after you said yes. Keys are files below trustedkeys in the local configuration directory; an empty file of the same name takes back what the system configuration trusts.',
  ],
  examples: [
    ['trust --prefix=example.com/web', 'the keys example.com publishes for its images'],
    ['trust --prefix=example.com ./example.asc', 'a key you already have'],
    ['--insecure-options=image fetch ./web.aci', 'no key: fetch without checking a signature'],
  ],
  words: ['file'],
  flags: {
    prefix: optionalTextFlag('Trust the keys for images whose name starts with this', 'PREFIX'),
    root: booleanFlag('Trust the keys for all images'),
    'skip-fingerprint-review': booleanFlag('Trust the keys without asking'),
    'insecure-allow-http': booleanFlag('Take keys over plain http'),
  },
  build: (values): TrustFlags => ({
    ...(values.prefix === undefined || values.prefix === '' ? {} : { prefix: values.prefix }),
    root: values.root,
    skipFingerprintReview: values['skip-fingerprint-review'],
    insecureAllowHttp: values['insecure-allow-http'],
  }),
  acceptsWords: (words, { prefix, root }) => words.length > 0 || root || prefix !== undefined,
  load: () => import('../../commands/trust.ts'),
});
