// A sandbox of a test, and its apps. Runs in the mocha process.

import type { Result } from './process.ts';
import { eventually, type Running } from './process.ts';
import { uuidOf } from './pods.ts';
import { INSECURE, type Rkt } from './rkt.ts';

/** What `app status --format=json` tells. */
export interface AppJson {
  readonly name: string;
  readonly state: string;
  readonly exit_code?: number;
  readonly started_at?: number;
  readonly finished_at?: number;
  readonly mounts?: readonly { readonly container_path: string; readonly read_only: boolean }[];
  readonly user_labels?: Readonly<Record<string, string>>;
}

/** A running sandbox. */
export class Sandbox {
  readonly #rkt: Rkt;
  readonly running: Running;
  readonly uuid: string;

  private constructor(rkt: Rkt, running: Running, uuid: string) {
    this.#rkt = rkt;
    this.running = running;
    this.uuid = uuid;
  }

  /** Starts one and waits until apps can be added. */
  static async start(rkt: Rkt, flags: readonly string[]): Promise<Sandbox> {
    const file = rkt.tmp.join(`sandbox-${process.hrtime.bigint()}`);
    const options = { timeoutMs: 1_800_000 };
    const running = rkt.start([INSECURE, 'app', 'sandbox', `--uuid-file-save=${file}`, ...flags], options);
    const uuid = await uuidOf(running, file);
    await rkt.ok(['status', '--wait-ready=30s', uuid]);
    return new Sandbox(rkt, running, uuid);
  }

  /** `rkt app VERB UUID ...` to its end, expecting status 0. */
  async app(verb: string, ...args: readonly string[]): Promise<Result> {
    return this.#rkt.ok(['app', verb, this.uuid, ...args]);
  }

  async status(app: string): Promise<AppJson> {
    return JSON.parse((await this.app('status', `--app=${app}`, '--format=json')).stdout) as AppJson;
  }

  /** Waits until the app has ended. */
  exited(app: string): Promise<AppJson> {
    return eventually(`the end of ${app}`, async () => {
      const now = await this.status(app);
      return now.state === 'exited' ? now : undefined;
    });
  }

  /** Stops the sandbox and gives its exit status. */
  async stop(): Promise<number> {
    await this.#rkt.ok(['stop', this.uuid]);
    return (await this.running.ended).status;
  }
}
