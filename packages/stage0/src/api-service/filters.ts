// Which pods and images a client asks for (contract stage1 7.4): any of the filters, each with all of its conditions.
// Pure. Runs in stage0.

import { ApiError } from './errors.ts';
import type { Image, ImageFilter, KeyValue, Pod, PodFilter } from './v1alpha.ts';

/** A message of a million empty filters must not keep the service busy. */
const MAX_FILTERS = 1000;

/** Whether a pod matches; without filters every pod does. @throws ApiError `bad-request` */
export function podMatcher(filters: readonly PodFilter[]): (pod: Pod) => boolean {
  return anyOf(filters, matchesPod);
}

/** Whether an image matches; without filters every image does. @throws ApiError `bad-request` */
export function imageMatcher(filters: readonly ImageFilter[]): (image: Image) => boolean {
  return anyOf(filters, matchesImage);
}

function anyOf<Filter, Thing>(
  filters: readonly Filter[],
  matches: (filter: Filter, thing: Thing) => boolean,
): (thing: Thing) => boolean {
  if (filters.length > MAX_FILTERS) {
    throw new ApiError('bad-request', `${filters.length} filters are more than ${MAX_FILTERS}`);
  }
  return (thing) => filters.length === 0 || filters.some((filter) => matches(filter, thing));
}

function matchesPod(filter: PodFilter, pod: Pod): boolean {
  return (
    any(filter.ids, (id) => id === pod.id) &&
    any(filter.states, (state) => state === pod.state) &&
    filter.app_names.every((name) => pod.apps.some((app) => app.name === name)) &&
    filter.image_ids.every((id) => pod.apps.some((app) => app.image?.id === id)) &&
    filter.network_names.every((name) => pod.networks.some((network) => network.name === name)) &&
    hasAll(pod.annotations, filter.annotations) &&
    any(filter.cgroups, (cgroup) => cgroup === pod.cgroup) &&
    any(filter.pod_sub_cgroups, (below) => pod.cgroup !== '' && below.startsWith(pod.cgroup))
  );
}

function matchesImage(filter: ImageFilter, image: Image): boolean {
  const baseName = image.name.slice(image.name.lastIndexOf('/') + 1);
  return (
    any(filter.ids, (id) => id === image.id) &&
    any(filter.full_names, (name) => name === image.name) &&
    any(filter.prefixes, (prefix) => image.name.startsWith(prefix)) &&
    any(filter.base_names, (name) => name === baseName) &&
    any(filter.keywords, (word) => image.name.includes(word)) &&
    (filter.imported_after === 0n || image.import_timestamp > filter.imported_after) &&
    (filter.imported_before === 0n || image.import_timestamp < filter.imported_before) &&
    hasAll(image.labels, filter.labels) &&
    hasAll(image.annotations, filter.annotations)
  );
}

// A condition without values is none.
function any<Value>(values: readonly Value[], holds: (value: Value) => boolean): boolean {
  return values.length === 0 || values.some(holds);
}

function hasAll(pairs: readonly KeyValue[], wanted: readonly KeyValue[]): boolean {
  return wanted.every(({ Key, value }) => pairs.some((pair) => pair.Key === Key && pair.value === value));
}
