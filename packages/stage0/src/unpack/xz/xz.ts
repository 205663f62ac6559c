export function* xzChunks(_: Iterable<Buffer>): Iterable<Buffer> {
  throw new Error('todo');
}
