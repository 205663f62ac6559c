// `rkt image list` (contract stage0 7.8). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import { stringifyGoJson } from '@rkt/spec/go-json';
import { listHash } from '@rkt/spec/image-id';

import { absoluteTime, formatTable, humanSize, printListErrors, relativeTime } from '../../cli/output.ts';
import type { ImageListField, ImageListFlags, Invocation } from '../../cli/requests.ts';
import type { AciInfo, ImageStore } from '../../store/store.ts';
import { openImages } from './open-images.ts';

/** An image as it is listed. */
interface ListedImage {
  readonly id: string;
  /** With the version label, when it has one. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly importTime: number;
  readonly lastUsed: number;
}

export async function run(invocation: Invocation<ImageListFlags>): Promise<number> {
  const { flags } = invocation;
  using images = await openImages(invocation);
  const errors: unknown[] = [];
  const rows = listedImages(images.store, errors).sort(comparator(flags));
  if (errors.length > 0) printListErrors(errors, 'listing images', images.logger);
  writeStdout(`${flags.format === '' ? table(rows, flags) : json(rows, flags.format === 'json-pretty')}\n`);
  return 0;
}

// An image that is removed at this moment has no manifest any more.
function listedImages(store: ImageStore, errors: unknown[]): ListedImage[] {
  return store.list().flatMap((info) => {
    try {
      return [listed(store, info)];
    } catch (error) {
      if (!hasCode(error, 'not-found')) errors.push(error);
      return [];
    }
  });
}

function listed(store: ImageStore, info: AciInfo): ListedImage {
  const { name, version } = store.describe(info);
  return {
    id: info.key,
    name: version === undefined ? name : `${name}:${version}`,
    sizeBytes: info.sizeBytes + info.treeSizeBytes,
    importTime: info.importTime,
    lastUsed: info.lastUsed,
  };
}

const SORT_KEYS = {
  name: (image: ListedImage) => image.name,
  importtime: (image: ListedImage) => image.importTime,
  lastused: (image: ListedImage) => image.lastUsed,
  size: (image: ListedImage) => image.sizeBytes,
} as const;

function comparator({ sort, order }: ImageListFlags): (a: ListedImage, b: ListedImage) => number {
  const direction = order === 'desc' ? -1 : 1;
  return (a, b) => {
    for (const field of sort) {
      const [left, right] = [SORT_KEYS[field](a), SORT_KEYS[field](b)];
      if (left !== right) return left < right ? -direction : direction;
    }
    return 0;
  };
}

const TITLES: Readonly<Record<ImageListField, string>> = {
  id: 'ID',
  name: 'NAME',
  size: 'SIZE',
  importtime: 'IMPORT TIME',
  lastused: 'LAST USED',
};

function table(images: readonly ListedImage[], { fields, noLegend, full }: ImageListFlags): string {
  const legend = noLegend ? [] : [fields.map((field) => TITLES[field])];
  return formatTable([...legend, ...images.map((image) => fields.map((field) => cell(image, field, full)))]);
}

function cell(image: ListedImage, field: ImageListField, full: boolean): string {
  switch (field) {
    case 'id':
      return full ? image.id : listHash(image.id);
    case 'name':
      return image.name;
    case 'size':
      return full ? String(image.sizeBytes) : humanSize(image.sizeBytes);
    case 'importtime':
      return full ? absoluteTime(image.importTime) : relativeTime(image.importTime);
    case 'lastused':
      return full ? absoluteTime(image.lastUsed) : relativeTime(image.lastUsed);
  }
}

function json(images: readonly ListedImage[], pretty: boolean): string {
  const list = images.map(({ id, name, importTime, lastUsed, sizeBytes }) => ({
    id,
    name,
    import_time: nanoseconds(importTime),
    last_used_time: nanoseconds(lastUsed),
    size: sizeBytes,
  }));
  return stringifyGoJson(list.length === 0 ? null : list, pretty ? { indent: '\t' } : {});
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}
