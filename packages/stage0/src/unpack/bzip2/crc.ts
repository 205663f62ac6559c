// The checksums of bzip2: CRC-32 with the most significant bit first. Pure; runs in stage0.

const POLYNOMIAL = 0x04c1_1db7;

const TABLE = new Int32Array(256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc << 1) ^ (crc < 0 ? POLYNOMIAL : 0);
  TABLE[byte] = crc;
}

/** The checksum of one block. */
export class BlockCrc {
  #crc = -1;

  update(bytes: Uint8Array): void {
    let crc = this.#crc;
    for (let at = 0; at < bytes.length; at += 1) {
      crc = (crc << 8) ^ (TABLE[(crc >>> 24) ^ (bytes[at] as number)] as number);
    }
    this.#crc = crc;
  }

  /** Unsigned. */
  get value(): number {
    return ~this.#crc >>> 0;
  }
}

/** The checksum of a stream after one more block. */
export function combineCrc(stream: number, block: number): number {
  return (((stream << 1) | (stream >>> 31)) ^ block) >>> 0;
}
