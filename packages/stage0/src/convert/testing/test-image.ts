// Images of the docker and OCI world from layers in memory, for tests; also as a layout directory that other programs
// read. Runs in the test process.

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { gnuLongName, paxEntry, paxRecord, rawArchive, rawEntry } from '@rkt/testkit/raw-tar';

import type { LegacyImage, OciConfig, OciImage, OciLayer, OciRunConfig } from '../../docker/oci-image.ts';

/** One entry of a layer. */
export interface LayerFile {
  /** As it is in the archive. */
  readonly name: string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'fifo';
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly xattrs?: Readonly<Record<string, string>>;
}

const TYPES = { file: '0', hardlink: '1', symlink: '2', char: '3', directory: '5', fifo: '6' } as const;
const NAME_BYTES = 100;

/** The archive of a layer. */
export function layerTar(files: readonly LayerFile[]): Buffer {
  return rawArchive(
    files.flatMap(({ name, type = 'file', content = '', link = '', mode, uid, gid, mtime, xattrs = {} }) => {
      const records = Object.entries(xattrs).map(([key, value]) => paxRecord(`SCHILY.xattr.${key}`, value));
      const fields = {
        name,
        type: TYPES[type],
        linkname: link,
        mode: mode ?? (type === 'directory' ? 0o755 : 0o644),
        uid: uid ?? 0,
        gid: gid ?? 0,
        mtime: mtime ?? 1_500_000_000,
        ...(type === 'char' && { major: 1, minor: 3 }),
      };
      return [
        ...(records.length > 0 ? [paxEntry(records)] : []),
        ...(Buffer.byteLength(name) > NAME_BYTES ? [gnuLongName('L', name)] : []),
        ...(Buffer.byteLength(link) > NAME_BYTES ? [gnuLongName('K', link)] : []),
        rawEntry(fields, type === 'file' ? content : ''),
      ];
    }),
  );
}

/** What of an image is not made up. */
export interface TestImageOptions {
  readonly reference?: Partial<OciImage['reference']>;
  readonly config?: Partial<OciConfig>;
  readonly run?: Partial<OciRunConfig>;
  readonly legacy?: LegacyImage;
  readonly isStage1?: boolean;
  readonly compression?: OciLayer['compression'];
  /** Instead of the true digests of the layers' contents. */
  readonly diffIds?: readonly string[];
}

/** An image whose layers were asked for {@link TestImage.opened} times in all. */
export interface TestImage extends OciImage {
  /** Digests, in the order in which they were asked for. */
  readonly opened: string[];
  readonly blobs: ReadonlyMap<string, Buffer>;
}

const NO_RUN_CONFIG: OciRunConfig = {
  user: '',
  entrypoint: [],
  cmd: [],
  env: [],
  workingDir: '',
  exposedPorts: [],
  volumes: [],
  labels: new Map(),
  stopSignal: '',
};

/** An image of these archives, base first. */
export function testImage(tars: readonly Buffer[], options: TestImageOptions = {}): TestImage {
  const { compression = 'gzip', diffIds = tars.map(sha256) } = options;
  const stored = tars.map((tar) => compress(tar, compression));
  const opened: string[] = [];
  const blobs = new Map(stored.map((bytes) => [sha256(bytes), bytes]));
  return {
    reference: {
      index: 'registry.test',
      repository: 'a/b',
      tag: '1',
      text: 'registry.test/a/b:1',
      ...options.reference,
    },
    source: 'oci',
    manifestDigest: sha256(Buffer.from(JSON.stringify([...blobs.keys()]))),
    config: {
      os: 'linux',
      architecture: 'amd64',
      config: { ...NO_RUN_CONFIG, ...options.run },
      rootfs: { diffIds },
      history: [],
      ...options.config,
    },
    layers: stored.map((bytes, index) => ({
      digest: sha256(bytes),
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      sizeBytes: bytes.length,
      ...(diffIds[index] !== undefined && { diffId: diffIds[index] }),
      compression,
    })),
    ...(options.legacy !== undefined && { legacy: options.legacy }),
    ...(options.isStage1 !== undefined && { isStage1: options.isStage1 }),
    opened,
    blobs,
    openLayer: ({ digest }) => {
      opened.push(digest);
      return Promise.resolve(streamOf(blobs.get(digest) ?? Buffer.alloc(0)));
    },
    close: () => Promise.resolve(),
  };
}

const PIECE_BYTES = 64 * 1024;

function streamOf(bytes: Buffer): Awaited<ReturnType<OciImage['openLayer']>> {
  return {
    async *[Symbol.asyncIterator]() {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        await new Promise(setImmediate);
        yield Buffer.from(bytes.subarray(at, at + PIECE_BYTES));
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Writes the image as an OCI layout with the tag `test`, for skopeo and umoci. */
export function writeLayout(directory: string, image: TestImage): void {
  writeIndex(directory, [writeManifest(directory, image, 'test')]);
}

/** Writes images as one OCI layout with the tags `t0`, `t1` and so on. */
export function writeLayouts(directory: string, images: readonly TestImage[]): void {
  writeIndex(
    directory,
    images.map((image, index) => writeManifest(directory, image, `t${index}`)),
  );
}

function writeIndex(directory: string, manifests: readonly object[]): void {
  writeFileSync(path.join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  writeFileSync(path.join(directory, 'index.json'), json({ schemaVersion: 2, manifests }));
}

function writeManifest(directory: string, image: TestImage, tag: string): object {
  const put = (bytes: Buffer): { digest: string; size: number } => {
    const digest = sha256(bytes);
    mkdirSync(path.join(directory, 'blobs/sha256'), { recursive: true });
    writeFileSync(path.join(directory, 'blobs/sha256', digest.slice('sha256:'.length)), bytes);
    return { digest, size: bytes.length };
  };
  const { os, architecture, rootfs } = image.config;
  const config = put(
    json({ os, architecture, config: {}, rootfs: { type: 'layers', diff_ids: rootfs.diffIds } }),
  );
  const layers = image.layers.map(({ digest, mediaType, compression }) => ({
    // As it is stored, for programs that believe it.
    mediaType: compression === 'none' ? mediaType.replace('+gzip', '') : mediaType,
    ...put(image.blobs.get(digest) ?? Buffer.alloc(0)),
  }));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const configDescriptor = { mediaType: 'application/vnd.oci.image.config.v1+json', ...config };
  const manifest = put(json({ schemaVersion: 2, mediaType, config: configDescriptor, layers }));
  return { mediaType, ...manifest, annotations: { 'org.opencontainers.image.ref.name': tag } };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** `sha256:...` of `bytes`. */
export function sha256(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function compress(tar: Buffer, compression: OciLayer['compression']): Buffer {
  if (compression === 'gzip') return gzipSync(tar);
  return compression === 'zstd' ? zstdCompressSync(tar) : tar;
}
