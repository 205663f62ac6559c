// `npm run publish-stage1 -- IMAGE.aci DESTINATION [OPTION...]`: pushes a stage1 image to a registry as an OCI image, from
// where `rkt run --stage1-image=docker://HOST/NAME@sha256:...` takes it. DESTINATION and the options are those of `skopeo
// copy`: `docker://HOST/NAME:TAG`, `--dest-creds=USER:PASSWORD`, ... Runs on the developer's machine.
//
// The root is one layer. The manifest is of a type of its own; what it says to stage0 travels as labels of the same names,
// which become annotations again when an image of this type, and no other, is converted (docs/decisions/0055). The same
// image and the same version of node give the same digest.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { STAGE1_PREFIX } from '@rkt/pod-layout/entrypoints';
import { type ImageManifest, parseImageManifest } from '@rkt/spec/image-manifest';
import { labelValue } from '@rkt/spec/labels';
import { STAGE1_ARTIFACT } from '@rkt/stage0/docker/media-types';
import { Pack, Parser, type ReadEntry } from 'tar';
import { runTool } from './workspace.ts';

/** Names of OCI where the ones of appc differ. */
const ARCHITECTURES: Readonly<Record<string, string>> = { amd64: 'amd64', i386: '386', aarch64: 'arm64' };

/** A blob of an OCI layout. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const ROOTFS = 'rootfs/';
const OCI = 'application/vnd.oci.image';
const TAG = 'stage1';
/** As image files are packed. */
const GZIP_LEVEL = 4;

/** Reads the image file `aci`: its manifest, and its root as a plain layer in `layer`. Throws when there is no manifest. */
async function readImage(aci: string, layer: string): Promise<ImageManifest> {
  const pack = new Pack({ gzip: false });
  const written = pipeline(pack, fs.createWriteStream(layer));
  const manifest: Buffer[] = [];
  const parser = new Parser({ strict: true });
  parser.on('entry', (entry: ReadEntry) => {
    const name = entry.path.replace(/^\.?\//, '');
    if (name === 'manifest') {
      entry.on('data', (chunk: Buffer) => manifest.push(chunk));
    } else if (name.startsWith(ROOTFS) && name !== ROOTFS) {
      entry.path = name.slice(ROOTFS.length);
      if (entry.type === 'Link') entry.linkpath = String(entry.linkpath).replace(/^\.?\/?rootfs\//, '');
      pack.add(entry);
    } else {
      entry.resume();
    }
  });
  parser.on('end', () => pack.end());
  await pipeline(fs.createReadStream(aci), createGunzip(), parser as unknown as NodeJS.WritableStream);
  await written;
  if (manifest.length === 0) throw new Error(`${aci}: no manifest`);
  return parseImageManifest(Buffer.concat(manifest).toString());
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(fs.createReadStream(file), hash);
  return `sha256:${hash.digest('hex')}`;
}

/** Moves `file` to the blobs of `layout`. */
async function addBlob(layout: string, mediaType: string, file: string): Promise<Descriptor> {
  const digest = await digestOf(file);
  const { size } = fs.statSync(file);
  const blobs = path.join(layout, 'blobs/sha256');
  fs.mkdirSync(blobs, { recursive: true });
  fs.renameSync(file, path.join(blobs, digest.slice('sha256:'.length)));
  return { mediaType, digest, size };
}

async function addJson(layout: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const file = path.join(layout, 'new.json');
  fs.writeFileSync(file, JSON.stringify(value));
  return addBlob(layout, mediaType, file);
}

/** Writes the image file `aci` as an OCI layout with one image; returns the image's digest. */
export async function writeLayout(aci: string, layout: string): Promise<string> {
  const plain = path.join(layout, 'layer.tar');
  const { name, labels, annotations = [] } = await readImage(aci, plain);
  const diffId = await digestOf(plain);
  const packed = `${plain}.gz`;
  await pipeline(fs.createReadStream(plain), createGzip({ level: GZIP_LEVEL }), fs.createWriteStream(packed));
  fs.rmSync(plain);
  const version = labelValue(labels, 'version') ?? '';
  const arch = labelValue(labels, 'arch') ?? 'amd64';
  const entryPoints = annotations.filter((annotation) => annotation.name.startsWith(STAGE1_PREFIX));
  if (entryPoints.length === 0) throw new Error(`${aci}: no stage1 image: its manifest names no entry point`);
  const layer = await addBlob(layout, `${OCI}.layer.v1.tar+gzip`, packed);
  const config = await addJson(layout, `${OCI}.config.v1+json`, {
    os: labelValue(labels, 'os') ?? 'linux',
    architecture: ARCHITECTURES[arch] ?? arch,
    config: { Labels: Object.fromEntries(entryPoints.map((each) => [each.name, each.value])) },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created_by: `${name} ${version}`.trim() }],
  });
  const manifest = await addJson(layout, `${OCI}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    artifactType: STAGE1_ARTIFACT,
    config,
    layers: [layer],
    annotations: { 'org.opencontainers.image.title': name, 'org.opencontainers.image.version': version },
  });
  const named = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': TAG } };
  fs.writeFileSync(path.join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  fs.writeFileSync(path.join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  return manifest.digest;
}

async function main(): Promise<void> {
  const [aci, destination, ...options] = process.argv.slice(2);
  if (aci === undefined || destination === undefined)
    throw new Error('usage: publish-stage1 IMAGE.aci docker://HOST/NAME:TAG [OPTION OF skopeo copy]...');
  const layout = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-publish-'));
  try {
    const digest = await writeLayout(aci, layout);
    const words = ['copy', '--quiet', '--preserve-digests', ...options, `oci:${layout}:${TAG}`, destination];
    const { error, status } = spawnSync('skopeo', words, { stdio: ['ignore', 'ignore', 'inherit'] });
    if (error !== undefined) throw new Error(`skopeo: ${error.message} (Debian's package: skopeo)`);
    if (status !== 0) throw new Error(`skopeo copy to ${destination} failed`);
    // A tag is the last component's; a port has a slash behind it.
    console.log(`${destination.replace(/:[^:/]+$/, '')}@${digest}`);
  } finally {
    fs.rmSync(layout, { recursive: true, force: true });
  }
}

if (import.meta.main) await runTool('publish-stage1', main);
