// Shows how far a download is: a bar that is redrawn on a terminal, plain lines elsewhere (contract stage0 4.6).
// Runs in stage0.

import { isatty } from 'node:tty';

import { writeStderr } from '@rkt/diagnostics/logger';

const WIDTH = 80;
const INTERVAL_MS = 1000;

/** Where progress is shown; stderr by default. */
export interface ProgressOutput {
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly now: () => number;
}

const STDERR: ProgressOutput = { isTerminal: isatty(2), write: writeStderr, now: () => performance.now() };

/** Progress of one transfer of `total` bytes (undefined: nobody knows). */
export class Progress {
  readonly #label: string;
  readonly #total: number | undefined;
  readonly #output: ProgressOutput;
  #drawnAt: number;
  #drawn = '';

  /** @param label What is being done, e.g. `Downloading ACI`. */
  constructor(label: string, total: number | undefined, output: ProgressOutput = STDERR) {
    this.#label = label;
    this.#total = total;
    this.#output = output;
    this.#drawnAt = output.now();
  }

  /** `done` bytes are there; drawn once a second at most. */
  update(done: number): void {
    const now = this.#output.now();
    if (now - this.#drawnAt < INTERVAL_MS) return;
    this.#drawnAt = now;
    this.#draw(done);
  }

  /** All is there. */
  finish(done: number): void {
    if (this.#output.isTerminal) {
      this.#draw(done);
      this.#output.write('\n');
    } else if (this.#line(done) !== this.#drawn) {
      this.#draw(done);
    }
  }

  #draw(done: number): void {
    const line = this.#line(done);
    // A shorter line must cover a longer one before it.
    this.#output.write(this.#output.isTerminal ? `\r${line.padEnd(this.#drawn.length)}` : `${line}\n`);
    this.#drawn = line;
  }

  #line(done: number): string {
    if (this.#total === undefined) return `${this.#label}: ${decimalSize(done)} of an unknown total size`;
    const sizes = `${decimalSize(done)}/${decimalSize(this.#total)}`;
    if (!this.#output.isTerminal) return `${this.#label}: ${sizes}`;
    const room = Math.max(0, WIDTH - this.#label.length - ': [] '.length - sizes.length);
    const filled = this.#total === 0 ? room : Math.min(room, Math.floor((done / this.#total) * room));
    return `${this.#label}: [${'='.repeat(filled)}${' '.repeat(room - filled)}] ${sizes}`;
  }
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes in decimal units with three significant digits: `1.2 MB`. */
export function decimalSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < UNITS.length - 1; unit += 1) value /= 1000;
  return `${Number(value.toPrecision(3))} ${UNITS[unit] ?? ''}`;
}
