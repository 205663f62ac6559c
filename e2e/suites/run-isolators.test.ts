// Isolators of images that cannot be meant: refused when the image is imported or when the pod starts, or told of
// (contract stage0 3.5, stage1 2.18-2.20).

import assert from 'node:assert/strict';

import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';

import { forEachFlavour } from '../lib/flavours.ts';
import { tinyImage, writeImage } from '../lib/images.ts';
import { INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

type Isolators = readonly { readonly name: string; readonly value: unknown }[];

const caps = (kind: string, ...set: string[]): Isolators[number] => ({
  name: `os/linux/capabilities-${kind}-set`,
  value: { set },
});
const calls = (kind: string, set: readonly string[], errno?: string): Isolators[number] => ({
  name: `os/linux/seccomp-${kind}-set`,
  value: { set, errno },
});
const resource = (kind: string, value: object): Isolators[number] => ({ name: `resource/${kind}`, value });

suite('isolators of images', ['root', 'busybox'], (the) => {
  const refusals: readonly (readonly [message: string, ...isolators: Isolators])[] = [
    ['set must be non-empty', caps('retain')],
    ['set must be non-empty', caps('remove')],
    ['set must be non-empty', calls('retain', [])],
    ['set must be non-empty', calls('remove', [])],
    ['too many instances of type', calls('remove', ['mount']), calls('remove', ['umount2'])],
    ['isolators set contains incompatible types', calls('retain', ['read']), calls('remove', ['mount'])],
    ['errno must start with "E"', calls('remove', ['mount'], 'PERM')],
    ['default must be false', resource('memory', { default: true, limit: '1G' })],
    ['default must be true', resource('network-bandwidth', { limit: '1G' })],
    ['bad quantity "much"', resource('cpu', { limit: 'much' })],
    ['oom-score-adj must be in', { name: 'os/linux/oom-score-adj', value: 1001 }],
    ['cpu-shares must be in', { name: 'os/linux/cpu-shares', value: 1 }],
    ['invalid isolator example.com/unheard', { name: 'example.com/unheard', value: {} }],
  ];

  it('that no pod could honour are refused with the image', async () => {
    for (const [message, ...isolators] of refusals) {
      const image = tinyImage(the.rkt, { exec: ['/x'], app: { isolators } });
      await the.rkt.fails([INSECURE, 'run', '--net=none', image], message);
    }
    assert.deepEqual([the.rkt.podsIn('prepare'), the.rkt.podsIn('run')], [[], []]);
  });

  forEachFlavour(['isolators'], (flavour) => {
    const words = (isolators: Isolators, flags: readonly string[] = []): string[] => {
      const manifest = inspectManifest(['--print-caps-pid=0'], { app: { isolators } });
      const image = writeImage(the.rkt, { manifest, files: inspectFiles() });
      return flavour.run(image, ...flags);
    };

    it('that contradict each other, or are no limits, end the pod before its app', async () => {
      const cases: readonly (readonly [message: string, ...isolators: Isolators])[] = [
        [
          'cannot have both os/linux/capabilities-retain-set and os/linux/capabilities-remove-set',
          caps('retain', 'CAP_KILL'),
          caps('remove', 'CAP_CHOWN'),
        ],
        ['unknown capability "CAP_FLY"', caps('retain', 'CAP_KILL', 'CAP_FLY')],
        ['seccomp-retain-set has no name that rkt knows: @nobody/knows', calls('retain', ['@nobody/knows'])],
        ['not the name of an error: "ENOSUCH"', calls('remove', ['mount'], 'ENOSUCH')],
        ['cpu limit exceeds the maximum millivalue', resource('cpu', { limit: '9223372036854775000' })],
        ['memory limit must be more than nothing, not 0', resource('memory', { limit: '0' })],
      ];
      for (const [message, ...isolators] of cases) await the.rkt.fails(words(isolators), message);
      assert.equal(the.rkt.podsIn('run').length, cases.length);
    });

    it('with names that mean nothing are told of', async () => {
      const result = await the.rkt.ok(
        words([
          caps('remove', 'CAP_KILL', 'CAP_FLY'),
          calls('remove', ['mount', 'mount2', '@nobody/knows', '@systemd/clock']),
        ]),
      );
      assert.match(
        result.output,
        /^warning: app "rkt-inspect": ignoring names unknown to rkt: mount2, @nobody\/knows, CAP_FLY\r?$/m,
      );
      assert.match(flavour.linesOf(result).join('\n'), /bounding: (?!.*kill)/);
    });
  });
});
