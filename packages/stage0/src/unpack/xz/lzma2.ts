// LZMA2: chunks of LZMA or of plain bytes, with resets between them. Pure; runs in stage0.

import type { ByteSource } from '../byte-source.ts';
import { refuse } from '../errors.ts';
import { LzmaDecoder, parseProperties } from './lzma.ts';
import { Window } from './window.ts';

const MAX_CHUNK = 2 * 1024 * 1024;
const MAX_PACKED = 64 * 1024;

/** Yields the content of one LZMA2 stream; a yielded buffer is valid until the next. @throws UnpackError */
export function* lzma2Chunks(
  source: ByteSource,
  dictionaryBytes: number,
): Generator<Buffer, void, undefined> {
  const window = new Window(dictionaryBytes, MAX_CHUNK);
  const decoder = new LzmaDecoder(window);
  const packed = new Uint8Array(MAX_PACKED);
  let needs: 'dictionary' | 'properties' | 'state' | 'nothing' = 'dictionary';
  for (;;) {
    const control = source.byte();
    if (control === 0) return;
    const isLzma = control >= 0x80;
    // 0xe0: dictionary, properties and state are reset; 0xc0: the last two; 0xa0: the state.
    const reset = isLzma ? (control >>> 5) & 3 : control === 1 ? 3 : 0;
    if (!isLzma && control > 2) refuse('bad-archive', 'xz stream is damaged: bad chunk');
    if (needs === 'dictionary' && reset !== 3)
      refuse('bad-archive', 'xz stream is damaged: no dictionary reset');
    const size = (isLzma ? (control & 0x1f) << 16 : 0) + uint16(source) + 1;
    window.reserve(size);
    if (reset === 3) {
      window.reset();
      decoder.position = 0;
      needs = 'properties';
    }
    const from = window.at;
    if (isLzma) {
      const packedSize = uint16(source) + 1;
      if (reset >= 2) decoder.reset(parseProperties(source.byte()));
      else if (needs === 'properties') refuse('bad-archive', 'xz stream is damaged: no properties');
      else if (reset === 1) decoder.reset();
      else if (needs === 'state') refuse('bad-archive', 'xz stream is damaged: no state reset');
      needs = 'nothing';
      source.readInto(packed, packedSize);
      decoder.range.begin(packed, packedSize);
      decoder.decode(size);
      if (!decoder.range.finished) refuse('bad-archive', 'xz stream is damaged: chunk does not end');
    } else {
      source.readInto(window.bytes.subarray(from, from + size), size);
      window.at += size;
      decoder.position += size;
      if (needs === 'nothing') needs = 'state';
    }
    yield Buffer.from(window.bytes.buffer, from, size);
  }
}

function uint16(source: ByteSource): number {
  return (source.byte() << 8) | source.byte();
}
