export function* bzip2Chunks(_: Iterable<Buffer>): Iterable<Buffer> {
  throw new Error('todo');
}
