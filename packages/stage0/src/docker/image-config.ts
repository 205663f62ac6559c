// Image configs (OCI image-spec config.md, docker image spec v1.2). Pure; runs in stage0.

import { parseDigest } from './digest.ts';
import { refuse } from './errors.ts';
import { type Fields, parseFields } from './json-fields.ts';
import type { OciConfig, OciHistory, OciLayer, OciRunConfig } from './oci-image.ts';

/** @throws DockerError `bad-image` */
export function parseImageConfig(bytes: Uint8Array, where: string): OciConfig {
  const fields = parseFields(bytes, where);
  return { ...readImageConfig(fields), rootfs: { diffIds: readDiffIds(fields, where) } };
}

/** Everything but the layers; schema 1 has the same fields in its history. */
export function readImageConfig(fields: Fields): OciConfig {
  const run = fields.optionalObject('config');
  return {
    os: fields.text('os'),
    architecture: fields.text('architecture'),
    ...present('variant', fields.text('variant')),
    ...present('author', fields.text('author')),
    ...present('created', fields.text('created')),
    ...(run !== undefined && { config: readRunConfig(run) }),
    rootfs: { diffIds: [] },
    history: fields.objects('history').map(readHistory),
  };
}

function readRunConfig(fields: Fields): OciRunConfig {
  return {
    user: fields.text('User'),
    entrypoint: fields.texts('Entrypoint'),
    cmd: fields.texts('Cmd'),
    env: fields.texts('Env'),
    workingDir: fields.text('WorkingDir'),
    // The v1 format had a list of its own before it had ExposedPorts.
    exposedPorts: fields.has('ExposedPorts') ? fields.keys('ExposedPorts') : fields.texts('PortSpecs'),
    volumes: fields.keys('Volumes'),
    labels: fields.textMap('Labels'),
    stopSignal: fields.text('StopSignal'),
  };
}

function readHistory(fields: Fields): OciHistory {
  return {
    ...present('created', fields.text('created')),
    ...present('createdBy', fields.text('created_by')),
    ...present('author', fields.text('author')),
    ...present('comment', fields.text('comment')),
    emptyLayer: fields.flag('empty_layer'),
  };
}

function readDiffIds(fields: Fields, where: string): string[] {
  const rootfs = fields.optionalObject('rootfs');
  if (rootfs === undefined) return refuse('bad-image', `${where} has no rootfs`);
  const type = rootfs.text('type');
  if (type !== 'layers') refuse('bad-image', `${where}: rootfs is not of type layers`);
  return rootfs.texts('diff_ids').map((id) => parseDigest(id, `${where}: diff_ids`).text);
}

/** The layers with the diff IDs of the config. @throws DockerError `bad-image` when they are not as many */
export function withDiffIds(layers: readonly OciLayer[], { rootfs }: OciConfig, where: string): OciLayer[] {
  const { diffIds } = rootfs;
  if (diffIds.length !== layers.length) {
    refuse('bad-image', `${where}: ${layers.length} layers, but the config has ${diffIds.length} diff_ids`);
  }
  return layers.map((layer, at) => ({ ...layer, ...present('diffId', diffIds[at] ?? '') }));
}

function present<Key extends string>(key: Key, value: string): Partial<Record<Key, string>> {
  return value === '' ? {} : ({ [key]: value } as Record<Key, string>);
}
