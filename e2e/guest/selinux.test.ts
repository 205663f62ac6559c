// Pods on a machine with SELinux (contract stage1 2.26): it counts what it would deny here, and denies nothing; what the
// labels then mean is the policy's.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';

import { forEachFlavour } from '../lib/flavours.ts';
import { inspectImage } from '../lib/images.ts';
import { startPod } from '../lib/pods.ts';
import { INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const CONTEXTS = '/etc/selinux/default/contexts/lxc_contexts';
const LEVEL = String.raw`s0:c\d+,c\d+`;

suite('SELinux', ['root', 'busybox', 'systemd-host', 'selinux'], (the) => {
  let image = '';
  before(() => {
    image = inspectImage(the.rkt);
  });
  const labelOf = (file: string): string =>
    openKernel().lgetXattr(file, 'security.selinux').toString('latin1').replace('\0', '');

  forEachFlavour(['isolated'], (flavour) => {
    const words = (script: string): string[] => [
      ...flavour.stage1,
      ...flavour.net,
      image,
      '--exec=/bin/sh',
      '--',
      '-c',
      script,
    ];

    it('labels processes and files of a pod by the policy, with categories of its own', async () => {
      const script =
        'for pid in 1 self; do cat /proc/$pid/attr/current; echo; done; touch /made; echo ready; sleep 1000';
      const pods = [await startPod(the.rkt, words(script)), await startPod(the.rkt, words(script))];
      const levels: string[] = [];
      for (const { running, uuid } of pods) {
        await running.waitFor(/\bready/);
        const pattern = new RegExp(`: system_u:system_r:container_t:(${LEVEL})\\r?$`, 'gm');
        const [ofInit, ofApp] = [...running.output.matchAll(pattern)].map(([, level = '']) => level);
        assert.ok(ofApp !== undefined, running.output);
        assert.equal(ofInit, ofApp);
        levels.push(ofApp);
        const rootfs = `${the.rkt.podDir(uuid)}/stage1/rootfs`;
        for (const file of [rootfs, `${rootfs}/opt/stage2/rkt-inspect/rootfs/made`])
          assert.equal(labelOf(file), `system_u:object_r:container_file_t:${ofApp}`, file);
      }
      assert.notEqual(levels[0], levels[1]);
    });

    it('has entered processes labelled as the app', async () => {
      const { running, uuid } = await startPod(
        the.rkt,
        words('cat /proc/self/attr/current; echo; sleep 1000'),
      );
      await running.waitFor(/container_t/);
      const { stdout } = await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', 'cat /proc/self/attr/current']);
      const label = stdout.replace('\0', '').trim();
      assert.match(label, new RegExp(`^system_u:system_r:container_t:${LEVEL}$`));
      assert.ok(running.output.includes(label), running.output);
    });

    it('leaves a pod without labels when the policy has none of those it names, and says so', async () => {
      const contexts = readFileSync(CONTEXTS, 'utf8');
      writeFileSync(CONTEXTS, contexts.replaceAll('container_t', 'nothing_t'));
      try {
        const result = await the.rkt.ok([INSECURE, 'run', ...words('cat /proc/self/attr/current; echo')]);
        assert.match(
          result.stderr,
          /^warning: SELinux does not confine the pod: .* system_u:system_r:nothing_t:s0 /m,
        );
        assert.doesNotMatch(result.output, /container_t/);
        const [uuid = ''] = the.rkt.podsIn('run');
        assert.ok(!existsSync(`${the.rkt.podDir(uuid)}/selinux-labels`));
      } finally {
        writeFileSync(CONTEXTS, contexts);
      }
    });
  });
});
