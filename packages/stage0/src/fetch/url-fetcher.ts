import type { ImageKey } from '@rkt/spec/image-id';
import type { FetchContext } from './context.ts';
import type { ReferenceOptions } from './fetcher.ts';
export async function fetchUrl(_c: FetchContext, _u: URL, _o: ReferenceOptions): Promise<ImageKey> {
  throw new Error('todo');
}
