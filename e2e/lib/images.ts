// Images of the suites, built where and when they are needed. Runs in the mocha process.

import type { AciDescription } from '@rkt/testkit/aci-builder';
import { writeAci } from '@rkt/testkit/aci-builder';
import { minimalImage } from '@rkt/testkit/debian-image';
import { inspectFiles, inspectManifest } from '@rkt/testkit/inspect';
import type { ManifestOptions } from '@rkt/testkit/manifests';
import { imageManifest } from '@rkt/testkit/manifests';
import type { StubOptions } from '@rkt/testkit/stub-stage1';
import { stubStage1 } from '@rkt/testkit/stub-stage1';

import type { Rkt } from './rkt.ts';

let serial = 0;

/** Writes an image below the directory of `rkt` and gives its path. */
export function writeImage(rkt: Rkt, description: AciDescription, name = `image-${(serial += 1)}`): string {
  return writeAci(rkt.tmp.join(`${name}.aci`), description).path;
}

/** An image that runs the inspecting program; tests give it options behind `--`. */
export function inspectImage(rkt: Rkt, options: ManifestOptions = {}): string {
  return writeImage(rkt, { manifest: inspectManifest([], options), files: inspectFiles() });
}

/** An image that runs a shell script from its manifest. */
export function shellImage(rkt: Rkt, script: string, options: ManifestOptions = {}): string {
  return writeImage(rkt, minimalImage({ exec: ['/bin/sh', '-c', script], ...options }));
}

/** An image that cannot run anything, tiny and quick; it has an app section only if `exec` is given. */
export function tinyImage(rkt: Rkt, options: ManifestOptions = {}): string {
  const manifest = imageManifest({ name: 'example.com/tiny', ...options });
  return writeImage(rkt, { manifest, files: [{ path: 'etc/' }, { path: 'file', content: 'tiny' }] });
}

/** A stage1 of shell scripts on the host; gives the flag that chooses it. */
export function stubFlag(rkt: Rkt, options: StubOptions = {}): string {
  return `--stage1-path=${writeImage(rkt, stubStage1(options))}`;
}
