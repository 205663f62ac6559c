// Arrays of numbers, and names, that grow without being copied and lie outside of the garbage-collected heap. Pure; runs
// in stage0.

import type { BytePath } from '../unpack/byte-path.ts';

const PAGE_BITS = 14;
const PAGE = 1 << PAGE_BITS;

type NumberArray = Uint8Array | Uint32Array | Float64Array;

/** Numbers by index; what was never set is 0. */
export class PagedNumbers {
  readonly #pages: NumberArray[] = [];
  readonly #Page: new (length: number) => NumberArray;

  /** @param Page What numbers there may be: `Uint8Array`, `Uint32Array`, `Float64Array`. */
  constructor(Page: new (length: number) => NumberArray) {
    this.#Page = Page;
  }

  get(index: number): number {
    return this.#pages[index >>> PAGE_BITS]?.[index & (PAGE - 1)] ?? 0;
  }

  set(index: number, value: number): void {
    const page = index >>> PAGE_BITS;
    while (this.#pages.length <= page) this.#pages.push(new this.#Page(PAGE));
    (this.#pages[page] as NumberArray)[index & (PAGE - 1)] = value;
  }
}

const NAMES_BITS = 16;
const NAMES_PAGE = 1 << NAMES_BITS;

/** File names: of 255 bytes at the most, one character each. */
export class PagedNames {
  readonly #pages: Buffer[] = [];
  // Full before the first page.
  #filled = NAMES_PAGE;

  /** Returns where the name is. */
  add(name: BytePath): number {
    if (this.#filled + 1 + name.length > NAMES_PAGE) {
      this.#pages.push(Buffer.allocUnsafeSlow(NAMES_PAGE));
      this.#filled = 0;
    }
    const page = this.#pages.length - 1;
    const start = this.#filled;
    const bytes = this.#pages[page] as Buffer;
    bytes[start] = name.length;
    bytes.write(name, start + 1, 'latin1');
    this.#filled += 1 + name.length;
    return page * NAMES_PAGE + start;
  }

  get(at: number): BytePath {
    const { bytes, start } = this.#find(at);
    return bytes.toString('latin1', start + 1, start + 1 + (bytes[start] as number));
  }

  is(at: number, name: BytePath): boolean {
    const { bytes, start } = this.#find(at);
    if (bytes[start] !== name.length) return false;
    for (let index = 0; index < name.length; index += 1) {
      if (bytes[start + 1 + index] !== name.charCodeAt(index)) return false;
    }
    return true;
  }

  #find(at: number): { bytes: Buffer; start: number } {
    return { bytes: this.#pages[Math.floor(at / NAMES_PAGE)] as Buffer, start: at % NAMES_PAGE };
  }
}
