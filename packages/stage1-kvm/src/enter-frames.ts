// Frames between `rkt enter` and the guest: a letter, two bytes of length, and as many bytes. The letters are explained in
// tools/build-stage1/enter-agent.c. Pure.

/** The letter and the bytes of a frame. */
export interface Frame {
  readonly letter: string;
  readonly bytes: Buffer;
}

/** The most bytes that a frame to the guest has. */
export const FRAME_BYTES = 4096;
const HEADER_BYTES = 3;

/** More zeros than a frame can lack whose sender was killed: the guest passes over zeros. */
export const PADDING: Buffer = Buffer.alloc(FRAME_BYTES + HEADER_BYTES);

/** A frame for the guest. */
export function frame(letter: string, bytes: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(HEADER_BYTES, letter, 'latin1');
  header.writeUInt16LE(bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

/** `bytes` in as many frames as they need. */
export function frames(letter: string, bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += FRAME_BYTES) {
    parts.push(frame(letter, bytes.subarray(at, at + FRAME_BYTES)));
  }
  return Buffer.concat(parts);
}

/** Reads what comes from the guest; what comes before the nonce was for somebody else. */
export class FrameReader {
  readonly nonce: Buffer;
  #held: Buffer = Buffer.alloc(0);
  #begun = false;

  constructor(nonce: Buffer) {
    this.nonce = nonce;
  }

  /** Whether the nonce has come. */
  get begun(): boolean {
    return this.#begun;
  }

  /** The frames that are whole now. */
  read(part: Buffer): Frame[] {
    this.#held = this.#held.length === 0 ? part : Buffer.concat([this.#held, part]);
    if (!this.#begun && !this.#findNonce()) return [];
    const found: Frame[] = [];
    while (this.#held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#held.readUInt16LE(1);
      if (this.#held.length < end) break;
      found.push({
        letter: String.fromCharCode(this.#held[0] ?? 0),
        bytes: this.#held.subarray(HEADER_BYTES, end),
      });
      this.#held = this.#held.subarray(end);
    }
    return found;
  }

  #findNonce(): boolean {
    const { nonce } = this;
    const at = this.#held.indexOf(nonce);
    this.#begun = at !== -1;
    this.#held = this.#held.subarray(
      this.#begun ? at + nonce.length : Math.max(0, this.#held.length - nonce.length + 1),
    );
    return this.#begun;
  }
}
