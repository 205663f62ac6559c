// Isolators of a pod manifest: memory and processor time bound all apps together, in the kernel; what cannot be honoured
// is told (contract stage1 2.20, 9.1, 10.2).

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { cgroupsOf } from '../lib/cleanup.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage } from '../lib/images.ts';
import { eventually } from '../lib/process.ts';
import { skip } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

/** Where the kernel has the limit: version 2 and version 1. */
const MEMORY_FILES = ['memory.max', 'memory.limit_in_bytes'];

interface Isolator {
  readonly name: string;
  readonly value: unknown;
}

suite('isolators of pods', ['root', 'busybox'], (the) => {
  let key = '';
  before(async () => {
    key = await the.rkt.fetch(inspectImage(the.rkt));
  });

  /** The flag of a manifest with apps that run these scripts, by name, and find a directory of the host in `/gate`. */
  const manifest = (
    scripts: Readonly<Record<string, string>>,
    isolators: readonly Isolator[],
    gate?: string,
  ): string => {
    const file = the.rkt.tmp.join('pod.json');
    const apps = Object.entries(scripts).map(([name, script]) => ({
      name,
      image: { id: key },
      app: { exec: ['/bin/sh', '-c', script], user: '0', group: '0' },
      ...(gate === undefined ? {} : { mounts: [{ volume: 'gate', path: '/gate' }] }),
    }));
    writeFileSync(
      file,
      JSON.stringify({
        acVersion: '0.8.11',
        acKind: 'PodManifest',
        apps,
        volumes: gate === undefined ? [] : [{ name: 'gate', kind: 'host', source: gate }],
        isolators,
        annotations: [],
        ports: [],
      }),
    );
    return `--pod-manifest=${file}`;
  };

  forEachFlavour(['isolators'], (flavour) => {
    it('of memory: an app that has enough alone is killed beside another', async () => {
      // The one that is killed is the larger one by then, and asks for memory alone: the kernel may kill a second one
      // while the memory of the first is not given back yet.
      const gate = the.rkt.tmp.join('gate');
      mkdirSync(gate);
      const wait = (file: string): string => `until [ -e /gate/${file} ]; do sleep 0.1; done`;
      const need = 'dd if=/dev/zero of=/dev/null bs=24M count=1';
      const hold = 'dd if=/dev/zero bs=12M count=1 | (head -c 1 >/dev/null; touch /gate/held; sleep 100)';
      const pod = the.rkt.start(
        flavour.run(
          manifest(
            {
              small: `${wait('alone')}; ${hold}`,
              large: `${need}; echo alone $?; touch /gate/alone; ${wait('held')}; ${need}; echo together $?; sleep 100`,
            },
            [{ name: 'resource/memory', value: { limit: '32Mi' } }],
            gate,
          ),
        ),
      );
      await pod.waitFor(/large\[\d+\]: alone 0/);
      await pod.waitFor(/large\[\d+\]: together 137/);
      if (flavour.can.ownKernel) return;
      const groups = cgroupsOf(the.rkt.podsIn('run'));
      const limits = groups
        .flatMap((group) => MEMORY_FILES.map((name) => join(group, name)))
        .filter((file) => existsSync(file))
        .map((file) => readFileSync(file, 'utf8').trim());
      assert.ok(limits.includes(String(32 << 20)), groups.join('\n'));
    });

    it('of processor time: the kernel makes the apps wait together', async function () {
      if (flavour.can.ownKernel) skip(this, 'its own kernel has the control group');
      const spin = 'while :; do :; done';
      the.rkt.start(
        flavour.run(manifest({ one: spin, two: spin }, [{ name: 'resource/cpu', value: { limit: '300m' } }])),
      );
      const file = (name: string): string | undefined =>
        cgroupsOf(the.rkt.podsIn('run'))
          .filter((group) => group.endsWith('/system.slice'))
          .map((group) => join(group, name))
          .find((each) => existsSync(each));
      await eventually('the slice is throttled', () => {
        const stat = file('cpu.stat');
        return stat !== undefined && /^nr_throttled ([3-9]|\d\d)/m.test(readFileSync(stat, 'utf8'));
      });
      const read = (name: string): string | undefined => {
        const found = file(name);
        return found === undefined ? undefined : readFileSync(found, 'utf8').trim();
      };
      const [quota, period] = (
        read('cpu.max') ?? `${read('cpu.cfs_quota_us')} ${read('cpu.cfs_period_us')}`
      ).split(' ');
      assert.equal(Number(quota) / Number(period), 0.3);
    });

    it('that are only for apps, or unknown, are named', async () => {
      const result = await the.rkt.ok(
        flavour.run(
          manifest({ one: 'echo ran' }, [
            { name: 'os/linux/no-new-privileges', value: true },
            { name: 'example.com/own', value: 1 },
          ]),
        ),
      );
      assert.match(
        result.stderr,
        /warning: pod: ignoring isolators .*: os\/linux\/no-new-privileges, example\.com\/own/,
      );
      assert.deepEqual(flavour.linesOf(result, 'one'), ['ran']);
    });
  });

  forEachFlavour(['callersInput'], (flavour) => {
    it('are named by a stage1 that has none', async () => {
      const result = await the.rkt.ok(
        flavour.run(manifest({ one: 'echo ran' }, [{ name: 'resource/memory', value: { limit: '40Mi' } }])),
      );
      assert.match(result.stderr, /warning: fly does not isolate, ignoring resource\/memory/);
    });
  });
});
