// Commands about rkt itself: version, config, completion, help. Runs in stage0.

import { command, type CommandSpec } from '../command.ts';
import { booleanFlag } from '../flag-types.ts';
import type { ConfigFlags, NoFlags } from '../requests.ts';

/** rkt version */
export const version: CommandSpec = command({
  usage: ['version'],
  description: [
    'Prints the versions of rkt and of the appc standard it implements, and what it was built for.',
  ],
  flags: {},
  build: (): NoFlags => ({}),
  load: () => import('../../commands/version.ts'),
});

/** rkt config */
export const config: CommandSpec = command({
  usage: ['config'],
  description: [
    'Prints the configuration that is in force as JSON: that of the system, of this machine and of the user, merged.',
    'Passwords and tokens are printed in clear.',
  ],
  examples: [['config --pretty-print=false', 'in one line']],
  flags: { 'pretty-print': booleanFlag('Indent the JSON', true) },
  build: (values): ConfigFlags => ({ prettyPrint: values['pretty-print'] }),
  load: () => import('../../commands/config.ts'),
});

/** rkt completion */
export const completion: CommandSpec = command({
  usage: ['completion bash|fish|zsh'],
  description: [
    'Prints a script that teaches a shell to complete rkt commands, flags, images and pods.',
    'Put it where the shell looks for such scripts, or load it into this shell.',
  ],
  examples: [
    ['completion bash > /etc/bash_completion.d/rkt', 'bash, for all users'],
    ['completion zsh > /usr/local/share/zsh/site-functions/_rkt', 'zsh, for all users'],
    ['completion fish > ~/.config/fish/completions/rkt.fish', 'fish, for this user'],
  ],
  words: ['shell'],
  flags: {},
  build: (): NoFlags => ({}),
  load: () => import('../../commands/completion.ts'),
});

/** rkt help */
export const help: CommandSpec = command({
  usage: ['help [COMMAND]'],
  description: ['Explains a command, the same as COMMAND --help.'],
  examples: [['help image list', 'about one command']],
  words: ['command'],
  flags: {},
  build: (): NoFlags => ({}),
  load: () => import('../../commands/help.ts'),
});
