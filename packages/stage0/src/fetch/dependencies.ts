// Fetches what an image depends on, breadth first (contract stage0 4.8). Runs in stage0.

import { wrap } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';
import type { ImageKey } from '@rkt/spec/image-id';
import { formatImageName, withPlatform } from '@rkt/spec/image-name';

import type { PullPolicy } from '../cli/requests.ts';
import type { FetchContext } from './context.ts';
import { fetchReference } from './fetcher.ts';

/**
 * Fetches the dependencies of `top`, and theirs, each once however many want it: so a cycle ends by itself here.
 * Signature files of the command line are not for them.
 */
export async function fetchDependencies(
  context: FetchContext,
  top: ImageKey,
  pullPolicy: PullPolicy,
): Promise<void> {
  const asked = new Set<string>();
  const seen = new Set([top]);
  const queue = [top];
  for (let key = queue.shift(); key !== undefined; key = queue.shift()) {
    const { name, dependencies = [] } = context.store.readManifest(key);
    for (const dependency of dependencies) {
      const image = withPlatform({ name: dependency.imageName, labels: dependency.labels ?? [] });
      const text = formatImageName(image);
      if (asked.has(text)) continue;
      asked.add(text);
      try {
        const found = await fetchReference(
          context,
          { kind: 'name', text, image },
          { pullPolicy, unpack: false },
        );
        if (!seen.has(found)) queue.push(found);
        seen.add(found);
      } catch (error) {
        throw wrap(`cannot fetch dependency ${quote(text)} of image ${quote(name)}`, error);
      }
    }
  }
}
