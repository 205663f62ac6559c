// Stage1 images as products of their own: from a registry, signed, and of another age than the rkt that uses them
// (contract stage1 1.1, 1.3; docs/stage1-images.md).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { interfaceVersion } from '@rkt/pod-layout/entrypoints';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import {
  type DebianRegistry,
  REGISTRY_PROGRAMS,
  startDebianRegistry,
} from '@rkt/testkit/registry/debian-registry';

import { REPOSITORY, STAGE1_DIR } from '../lib/environment.ts';
import { podSuite } from '../lib/fixtures.ts';
import { forEachFlavour } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import { olderStage1, olderStage1Reason } from '../lib/older-stage1.ts';
import { type Requirement, requires, skip } from '../lib/requires.ts';
import { expectStatus, FAILURE, INSECURE } from '../lib/rkt.ts';

const PROGRAMS = REGISTRY_PROGRAMS.map((name): Requirement => `program:${name}`);
const INSECURE_HTTP = '--insecure-options=image,http';

/** `npm run publish-stage1`: the reference by digest that it prints, below an address of the registry. */
function publish(image: string, destination: string): string {
  const words = ['--conditions=@rkt/source', 'tools/publish-stage1.ts', image, destination];
  const options = { cwd: REPOSITORY, encoding: 'utf8' } as const;
  return execFileSync(process.execPath, [...words, '--dest-tls-verify=false'], options).trim();
}

podSuite('stage1 images', [], (the) => {
  describe('in a registry', () => {
    let registry: DebianRegistry;
    before(async function () {
      requires(this, ...PROGRAMS);
      registry = await startDebianRegistry();
    });
    after(() => registry?.close());

    forEachFlavour([], (flavour) => {
      it('are used by digest, straight from there, and are in the store then', async () => {
        const name = `docker://${registry.host}/rkt/stage1-${flavour.name}`;
        const reference = publish(flavour.image, `${name}:2.0.0`);
        assert.match(reference, new RegExp(`^${name}@sha256:[0-9a-f]{64}$`));

        const image = shellImage(the.rkt, 'echo from a registry; exit 7');
        const run = [INSECURE_HTTP, 'run', `--stage1-image=${reference}`, ...flavour.net, image];
        const first = expectStatus(await the.rkt.run(run, { timeoutMs: 120_000 }), 7);
        assert.ok(flavour.linesOf(first).includes('from a registry'), first.output);
        await registry.close();
        const second = expectStatus(await the.rkt.run(run), 7);
        assert.ok(flavour.linesOf(second).includes('from a registry'), second.output);
        registry = await startDebianRegistry();
      });
    });
    it('have the digest they had before, while the image is the same', () => {
      const image = join(STAGE1_DIR, 'stage1-fly.aci');
      const name = `docker://${registry.host}/rkt/twice`;
      assert.equal(publish(image, `${name}:1`), publish(image, `${name}:2`));
    });
    it('are refused when the digest is another one, and without --insecure-options as all images of registries', async () => {
      const missing = `docker://${registry.host}/rkt/stage1-fly@sha256:${'0'.repeat(64)}`;
      const image = shellImage(the.rkt, 'true');
      const run = ['run', `--stage1-image=${missing}`, '--net=host', image];
      const result = expectStatus(await the.rkt.run([INSECURE_HTTP, ...run]), FAILURE);
      assert.match(result.stderr, /sha256:0000/);
      expectStatus(await the.rkt.run(['--insecure-options=http', ...run]), FAILURE);
    });
  });

  describe('of an older commit', () => {
    forEachFlavour([], (flavour) => {
      it('run pods of this rkt: the interface version is all they have to agree on', async function () {
        const reason = olderStage1Reason(flavour.name);
        if (reason !== undefined) skip(this, reason);
        this.timeout(180_000);
        const stage1 = `--stage1-image=${olderStage1(flavour.name)}`;
        const script = 'echo "old stage1"; while [ ! -e /go ]; do sleep 0.1; done; exit 3';
        const image = shellImage(the.rkt, script);
        const pod = the.rkt.start([INSECURE, 'run', stage1, ...flavour.net, image], { timeoutMs: 60_000 });
        await pod.waitFor('old stage1');
        const { stdout } = await the.rkt.ok(['list', '--no-legend', '--full']);
        const uuid = /^(\S+)\t.*\trunning\t/m.exec(stdout)?.[1] ?? '';
        await the.rkt.ok(['enter', uuid, '/bin/sh', '-c', 'true > /go']);
        const ended = expectStatus(await pod.ended, 3);
        assert.ok(flavour.linesOf(ended).includes('old stage1'), ended.output);
        assert.match((await the.rkt.ok(['status', uuid])).stdout, /^state=exited$/m);
        await the.rkt.ok(['rm', uuid]);
      });
    });
  });

  describe('are built', () => {
    forEachFlavour([], (flavour) => {
      it('with a description and a bill of materials', () => {
        const beside = (suffix: string): string => join(STAGE1_DIR, `stage1-${flavour.name}${suffix}`);
        const described = JSON.parse(readFileSync(beside('.json'), 'utf8')) as Record<string, unknown>;
        const manifest = execFileSync('tar', ['-xzOf', flavour.image, 'manifest'], { encoding: 'utf8' });
        const { name, annotations } = JSON.parse(manifest) as ImageManifest;
        assert.equal(described['name'], name);
        assert.equal(described['interfaceVersion'], interfaceVersion(annotations));
        const sum = execFileSync('sha256sum', [flavour.image], { encoding: 'utf8' }).slice(0, 64);
        assert.equal(described['sha256'], sum);
        assert.ok(existsSync(beside('.cdx.json')));
      });
    });
  });
});
