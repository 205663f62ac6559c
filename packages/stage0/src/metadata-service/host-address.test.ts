// Waiting for the address of a pod, with and without the kernel's help.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';

import { podDir, runtimeConfigFile } from '@rkt/pod-layout/pod-paths';
import { TempDir } from '@rkt/testkit/tmp';

import { type WatchDirectory, watchHostAddress, watchOrLook } from './host-address.ts';

const withoutKernel: WatchDirectory = (directory, onChange) =>
  watchOrLook(directory, onChange, () => {
    throw Object.assign(new Error('EMFILE: too many open files, watch'), { code: 'EMFILE' });
  });

for (const [how, watchDirectory] of [
  ['by inotify', watchOrLook],
  ['where the host has no more inotify', withoutKernel],
] as const) {
  describe(`the address of a pod, ${how}`, () => {
    it('is found when it is written, once', async () => {
      using tmp = new TempDir('mds');
      const pod = podDir(tmp.path);
      const found: string[] = [];
      const written = new Promise<void>((resolve) => {
        watchHostAddress(
          pod,
          (address) => {
            found.push(address);
            resolve();
          },
          watchDirectory,
        );
      });
      writeFileSync(runtimeConfigFile(pod), '{"MetadataServiceURL":""}');
      writeFileSync(runtimeConfigFile(pod), '{"MetadataServiceURL":"http://10.0.0.1:1/t"}');
      await written;
      writeFileSync(runtimeConfigFile(pod), '{"MetadataServiceURL":"http://10.0.0.2:1/t"}');
      assert.deepEqual(found, ['10.0.0.1']);
    });
    it('is found at once when it is there, and not when nobody waits', () => {
      using tmp = new TempDir('mds');
      const pod = podDir(tmp.path);
      const found: string[] = [];
      const stop = watchHostAddress(pod, (address) => found.push(address), watchDirectory);
      stop();
      writeFileSync(runtimeConfigFile(pod), '{"MetadataServiceURL":"http://10.0.0.1:1/t"}');
      assert.equal(found.length, 0);
      watchHostAddress(pod, (address) => found.push(address), watchDirectory);
      assert.deepEqual(found, ['10.0.0.1']);
    });
    it('of a pod that is gone is not waited for in vain', () => {
      using tmp = new TempDir('mds');
      watchHostAddress(podDir(tmp.join('gone')), () => assert.fail(), watchDirectory)();
    });
  });
}
