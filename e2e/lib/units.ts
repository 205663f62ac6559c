// Units of the machine's systemd that a test makes, starts and asks about. Runs in the mocha process, as root on a machine
// with systemd as PID 1.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { eventually, execute } from './process.ts';
import { expectStatus } from './rkt.ts';

/** Where units of one boot are; those of a package, and what an administrator wrote, are elsewhere. */
const RUNTIME_UNITS = '/run/systemd/system';

/** Runs a program of the machine and gives its output; it must succeed. */
export async function ask(program: string, ...args: readonly string[]): Promise<string> {
  return expectStatus(await execute(program, args), 0).stdout;
}

/** Words of an ExecStart= line as systemd.service(5) reads them. */
export function execLine(words: readonly string[]): string {
  return words
    .map(
      (word) =>
        `"${word
          .replaceAll(/["\\]/g, String.raw`\$&`)
          .replaceAll('%', '%%')
          .replaceAll('$', '$$$$')}"`,
    )
    .join(' ');
}

/** Units of a test. */
export class Units {
  readonly #written: string[] = [];

  /** Writes a unit file and makes systemd read it; sections as in the file. */
  async write(name: string, text: string): Promise<void> {
    writeFileSync(join(RUNTIME_UNITS, name), text);
    this.#written.push(name);
    await ask('systemctl', 'daemon-reload');
  }

  /** A property of a unit as systemctl shows it. */
  async property(unit: string, name: string): Promise<string> {
    return (await ask('systemctl', 'show', '--value', `--property=${name}`, unit)).trim();
  }

  /** Waits until a unit is `active`, `inactive`, `failed` and the like. */
  async state(unit: string, wanted: string): Promise<void> {
    await eventually(
      `${unit} is ${wanted}`,
      async () => (await this.property(unit, 'ActiveState')) === wanted,
    );
  }

  /** What a unit wrote to the machine's journal. */
  async journal(unit: string): Promise<string> {
    await ask('journalctl', '--sync');
    return ask('journalctl', '--no-pager', '--output=cat', `--unit=${unit}`);
  }

  /** Stops all units of the test and forgets them. */
  async remove(): Promise<void> {
    const units = this.#written.splice(0);
    if (units.length === 0) return;
    await execute('systemctl', ['stop', ...units.toReversed()]);
    await execute('systemctl', ['reset-failed', ...units]);
    for (const unit of units) rmSync(join(RUNTIME_UNITS, unit), { force: true });
    await ask('systemctl', 'daemon-reload');
  }
}
