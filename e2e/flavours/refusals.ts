// What flavours say when they are asked for what they do not have. Runs in the mocha process.

import { minimalImage } from '@rkt/testkit/debian-image';

import type { Ability } from '../lib/abilities.ts';
import { attempt } from '../lib/conformance.ts';
import type { Flavour } from '../lib/flavours.ts';
import { shellImage, writeImage } from '../lib/images.ts';
import type { Result } from '../lib/process.ts';
import { INSECURE } from '../lib/rkt.ts';
import type { Suite } from '../lib/suite.ts';

/** Declares the refusals and warnings of one flavour. */
export function refusals(the: Suite, flavour: Flavour): void {
  describe('asked for what it does not have', () => {
    afterEach(() => the.rkt.sweep());
    const run = (net: readonly string[], ...words: readonly string[]): Promise<Result> =>
      the.rkt.run([INSECURE, 'run', ...flavour.stage1, ...net, ...words]);
    const image = (): string => shellImage(the.rkt, 'true');
    const withFlag =
      (flag: string): (() => Promise<Result>) =>
      () =>
        run(flavour.net, image(), flag);
    const withNet =
      (net: string): (() => Promise<Result>) =>
      () =>
        run([net], image());

    const asking: Partial<Record<Ability, () => Promise<Result>>> = {
      severalApps: () => run(flavour.net, image(), image(), '--name=second'),
      mutable: () => the.rkt.run([INSECURE, 'app', 'sandbox', ...flavour.stage1, ...flavour.net]),
      interactive: () => run(flavour.net, '--interactive', image()),
      userNamespaces: () => run(flavour.net, '--private-users', '--no-overlay', image()),
      volumes: () => {
        const app = { mountPoints: [{ name: 'data', path: '/data' }] };
        const own = writeImage(the.rkt, minimalImage({ exec: ['/bin/true'], app }));
        return run(flavour.net, `--volume=data,kind=host,source=${the.rkt.scratch}`, own);
      },
      emptyVolumes: () => {
        const app = { mountPoints: [{ name: 'none', path: '/none' }] };
        return run(flavour.net, writeImage(the.rkt, minimalImage({ exec: ['/bin/true'], app })));
      },
      handlers: () => {
        const app = { eventHandlers: [{ name: 'pre-start', exec: ['/bin/true'] }] };
        return run(flavour.net, writeImage(the.rkt, minimalImage({ exec: ['/bin/true'], app })));
      },
      readOnlyRootfs: withFlag('--readonly-rootfs=true'),
      capabilities: withFlag('--caps-retain=CAP_KILL'),
      seccomp: withFlag('--seccomp=mode=remove,mkdir'),
      isolators: withFlag('--memory=64M'),
      hostname: () => run(flavour.net, '--hostname=lighthouse', image()),
      names: () => run(flavour.net, '--dns=192.0.2.1', image()),
      noNetwork: withNet('--net=none'),
      networks: withNet('--net=default'),
      hostNetwork: withNet('--net=host'),
    };
    for (const [ability, ask] of Object.entries(asking)) attempt(flavour, ability as Ability, ask);
  });
}
