// Shows how far downloads are: bars that are redrawn on a terminal, plain lines elsewhere (contract stage0 4.6).
// Runs in stage0.

import { writeStderr } from '@rkt/diagnostics/logger';

const WIDTH = 80;
const INTERVAL_MS = 1000;

/** Where progress is shown. */
export interface ProgressOutput {
  readonly isTerminal: boolean;
  /** Columns of a line; a bar that wraps could not be redrawn. */
  readonly columns: number;
  readonly write: (text: string) => void;
  readonly now: () => number;
}

function standardError(): ProgressOutput {
  // Not node:tty, which every command that finds an image would load.
  const { isTTY: isTerminal = false, columns = 0 } = process.stderr as Partial<typeof process.stderr>;
  return { isTerminal, columns: columns || WIDTH, write: writeStderr, now: () => performance.now() };
}

/** The bars of one terminal, each on a line of its own below the messages. */
export class ProgressDisplay {
  readonly output: ProgressOutput;
  #bars: Progress[] = [];
  #lines: string[] = [];
  #drawnAt = 0;
  #pauses = 0;

  constructor(output: ProgressOutput) {
    this.output = output;
  }

  add(bar: Progress): void {
    if (this.#bars.length === 0) this.#drawnAt = this.output.now();
    const after = this.#bars.findIndex(({ position }) => position > bar.position);
    this.#bars.splice(after < 0 ? this.#bars.length : after, 0, bar);
  }

  /** Redraws all bars, at most once a second unless `now`. */
  update({ now }: { readonly now: boolean }): void {
    const time = this.output.now();
    if (!now && time - this.#drawnAt < INTERVAL_MS) return;
    this.#drawnAt = time;
    this.#draw();
  }

  /** Ends the block of bars when none is moving any more. */
  settle(): void {
    if (this.#bars.some((bar) => !bar.ended)) return;
    if (this.#lines.length > 0) this.output.write('\n');
    this.#bars = [];
    this.#lines = [];
  }

  /** Lets somebody write whole lines where the bars are; these come back below. */
  interrupt(write: () => void): void {
    const drawn = this.#lines.length > 0;
    if (drawn) this.output.write(`${this.#toTop()}\u001B[J`);
    this.#lines = [];
    write();
    if (drawn) this.#draw();
  }

  /** Takes the bars away while `work` talks with the user. */
  async pausedFor<Result>(work: () => Promise<Result>): Promise<Result> {
    this.interrupt(() => (this.#pauses += 1));
    try {
      return await work();
    } finally {
      this.#pauses -= 1;
    }
  }

  #draw(): void {
    if (this.#pauses > 0) return;
    const lines = this.#bars.map((bar) => bar.line());
    // A shorter line must cover a longer one before it.
    const padded = lines.map((line, index) => line.padEnd(this.#lines[index]?.length ?? 0));
    this.output.write(`${this.#toTop()}${padded.join('\n')}`);
    this.#lines = lines;
  }

  #toTop(): string {
    return this.#lines.length > 1 ? `\u001B[${this.#lines.length - 1}A\r` : '\r';
  }
}

let shared: ProgressDisplay | undefined;

/** The display of this process, on stderr. */
export function sharedDisplay(): ProgressDisplay {
  shared ??= new ProgressDisplay(standardError());
  return shared;
}

/** Lets somebody write whole lines to the terminal without disturbing bars that are shown. */
export function besideProgress(write: () => void): void {
  if (shared === undefined) write();
  else shared.interrupt(write);
}

/** Progress of one transfer of `total` bytes (undefined: nobody knows). Disposing of it ends one that failed. */
export class Progress implements Disposable {
  /** Bars are in this order, whoever began first; those of one position in the order they began. */
  readonly position: number;
  readonly #label: string;
  readonly #total: number | undefined;
  readonly #display: ProgressDisplay;
  #done = 0;
  #ended = false;
  #saidAt: number;
  #said = '';

  /** @param label What is being done, e.g. `Downloading ACI`. */
  constructor(
    label: string,
    total: number | undefined,
    display: ProgressDisplay = sharedDisplay(),
    position = 0,
  ) {
    this.position = position;
    this.#label = label;
    this.#total = total;
    this.#display = display;
    this.#saidAt = display.output.now();
    display.add(this);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** `done` bytes are there; shown once a second at most. */
  update(done: number): void {
    this.#done = done;
    if (this.#display.output.isTerminal) this.#display.update({ now: false });
    else this.#say(INTERVAL_MS);
  }

  /** All is there. */
  finish(done: number): void {
    this.#done = done;
    this.#ended = true;
    if (this.#display.output.isTerminal) this.#display.update({ now: true });
    else this.#say(0);
    this.#display.settle();
  }

  [Symbol.dispose](): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#display.settle();
  }

  /** What is shown now. */
  line(): string {
    if (this.#total === undefined)
      return `${this.#label}: ${decimalSize(this.#done)} of an unknown total size`;
    const sizes = `${decimalSize(this.#done)}/${decimalSize(this.#total)}`;
    const { isTerminal, columns } = this.#display.output;
    if (!isTerminal) return `${this.#label}: ${sizes}`;
    const width = Math.min(WIDTH, columns);
    const room = Math.max(0, width - this.#label.length - ': [] '.length - sizes.length);
    const filled = this.#total === 0 ? room : Math.min(room, Math.floor((this.#done / this.#total) * room));
    return `${this.#label}: [${'='.repeat(filled)}${' '.repeat(room - filled)}] ${sizes}`;
  }

  #say(intervalMs: number): void {
    const { now, write } = this.#display.output;
    const time = now();
    if (time - this.#saidAt < intervalMs) return;
    this.#saidAt = time;
    const line = this.line();
    if (line !== this.#said) write(`${line}\n`);
    this.#said = line;
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
