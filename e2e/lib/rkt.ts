// One rkt under test with directories of its own (contract stage0 10.9). Runs in the mocha process.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { dataDir } from '@rkt/pod-layout/data-dir';
import { POD_DIRECTORIES } from '@rkt/pod-layout/lifecycle';
import { type PodDir, podPath, podsDir, podStateDir } from '@rkt/pod-layout/pod-paths';
import { TempDir } from '@rkt/testkit/tmp';

import { mountPoints } from './cleanup.ts';
import { BASE_ENVIRONMENT, RKT_BIN } from './environment.ts';
import type { Result, StartOptions } from './process.ts';
import { execute, Running, shellQuote } from './process.ts';

/** Turns signature checks off, as nearly all tests do. */
export const INSECURE = '--insecure-options=image';

/** Exit status of errors that have none of their own. */
export const FAILURE = 254;

/** The canonical form of a pod's UUID. */
export const UUID_PATTERN: RegExp = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** An rkt with its own data directory and configuration directories. */
export class Rkt implements Disposable {
  readonly tmp: TempDir;
  readonly data: string;
  readonly localConfig: string;
  readonly systemConfig: string;
  readonly userConfig: string;
  /** TMPDIR of all programs started here. */
  readonly scratch: string;
  /** Pods that were there at some {@link sweep}. */
  readonly seenPods: string[] = [];
  /** Path of the network namespace that all programs are started in; the test's own when it is absent. */
  netns?: string;
  readonly #started: Running[] = [];

  constructor(name = 'e2e', dataName = 'data') {
    this.tmp = new TempDir(name);
    [this.data, this.localConfig, this.systemConfig, this.userConfig] = [
      dataName,
      'local',
      'system',
      'user',
    ].map((each) => {
      const path = this.tmp.join(each);
      mkdirSync(path);
      return path;
    }) as [string, string, string, string];
    this.scratch = this.tmp.join('scratch');
    mkdirSync(this.scratch, { mode: 0o1777 });
  }

  /** The flags that keep this rkt away from the host's directories. */
  get directoryFlags(): string[] {
    return [
      `--dir=${this.data}`,
      `--local-config=${this.localConfig}`,
      `--system-config=${this.systemConfig}`,
      `--user-config=${this.userConfig}`,
    ];
  }

  /** Starts rkt; `afterEach` of the suite ends what still runs. */
  start(args: readonly string[], options: StartOptions = {}): Running {
    return this.#start(RKT_BIN, [...this.directoryFlags, ...args], options);
  }

  /** Starts rkt on a pseudo terminal; both streams are one, and lines end in CR LF. */
  startOnTerminal(args: readonly string[], options: StartOptions = {}): Running {
    const line = shellQuote([RKT_BIN, ...this.directoryFlags, ...args]);
    return this.#start(
      'script',
      ['--quiet', '--return', '--flush', '--command', `exec ${line}`, '/dev/null'],
      {
        input: { open: true },
        ...options,
      },
    );
  }

  /** Starts rkt, or a copy of it, without any directory flags. */
  startBare(args: readonly string[], options: StartOptions = {}, program: string = RKT_BIN): Running {
    return this.#start(program, args, options);
  }

  /** Runs rkt to its end. */
  run(args: readonly string[], options: StartOptions = {}): Promise<Result> {
    return this.start(args, options).ended;
  }

  /** Runs rkt and expects status 0. */
  async ok(args: readonly string[], options: StartOptions = {}): Promise<Result> {
    return expectStatus(await this.run(args, options), 0);
  }

  /** Runs rkt and expects it to fail with status 254 and this text in its output. */
  async fails(
    args: readonly string[],
    text: string | RegExp,
    options: StartOptions & { status?: number } = {},
  ): Promise<Result> {
    const result = expectStatus(await this.run(args, options), options.status ?? FAILURE);
    const found = typeof text === 'string' ? result.output.includes(text) : text.test(result.output);
    assert.ok(found, `expected ${String(text)} in the output of ${result.command}:\n${result.output}`);
    return result;
  }

  /** Writes a configuration file, e.g. `localConfig`, `paths.d/a.json`. */
  configure(kind: 'localConfig' | 'systemConfig' | 'userConfig', name: string, content: unknown): void {
    const path = join(this[kind], name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  }

  /** Fetches an image file, with dependencies from the store, and gives its key. */
  async fetch(path: string): Promise<string> {
    const { stdout } = await this.ok([INSECURE, 'fetch', '--pull-policy=new', '--full', path]);
    return stdout.trim();
  }

  /** Prepares a pod and gives its UUID. */
  async prepare(args: readonly string[]): Promise<string> {
    const { stdout } = await this.ok([INSECURE, 'prepare', ...args]);
    const uuid = stdout.trim().split('\n').at(-1) ?? '';
    assert.match(uuid, UUID_PATTERN);
    return uuid;
  }

  /** The key=value lines of `rkt status`. */
  async status(uuid: string): Promise<Record<string, string>> {
    const { stdout } = await this.ok(['status', uuid]);
    const pairs = stdout
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    return Object.fromEntries(pairs) as Record<string, string>;
  }

  /** UUIDs below one state directory. */
  podsIn(directory: (typeof POD_DIRECTORIES)[number]): string[] {
    try {
      return readdirSync(podStateDir(dataDir(this.data), directory))
        .filter((name) => UUID_PATTERN.test(name))
        .sort();
    } catch {
      return [];
    }
  }

  /** Where a pod is now. */
  podDir(uuid: string): PodDir {
    const state = POD_DIRECTORIES.find((each) => this.podsIn(each).includes(uuid));
    assert.ok(state !== undefined, `pod ${uuid} exists`);
    return podPath(dataDir(this.data), state, uuid);
  }

  /** Ends what tests left running and collects all pods; contract stage0 10.9 wants exit 0 of this gc. */
  async sweep(): Promise<void> {
    const running = this.#started.splice(0).filter((each) => !each.isOver);
    const pods = this.podsIn('run');
    if (running.length > 0 && pods.length > 0) await this.run(['stop', '--force', ...pods]);
    for (const each of running) each.kill('SIGKILL');
    await Promise.allSettled(running.map((each) => each.ended));
    const all = POD_DIRECTORIES.flatMap((directory) => this.podsIn(directory));
    if (all.length === 0) return;
    this.seenPods.push(...all);
    await this.ok(['gc', '--grace-period=0s', '--expire-prepared=0s']);
    const kept = POD_DIRECTORIES.flatMap((directory) => this.podsIn(directory));
    assert.deepEqual(kept, [], 'gc left pods behind');
  }

  /** Takes all pods away without asking rkt, for tests that go on behind a broken one. */
  discardPods(): void {
    for (const point of mountPoints()
      .filter((each) => each.startsWith(`${this.data}/pods/`))
      .toReversed()) {
      openKernel().umount2(point, MNT_DETACH);
    }
    rmSync(podsDir(dataDir(this.data)), { recursive: true, force: true });
  }

  [Symbol.dispose](): void {
    this.tmp.remove();
  }

  #start(program: string, args: readonly string[], options: StartOptions): Running {
    const [command, ...words] = [...inNamespace(this.netns), program, ...args] as [string, ...string[]];
    const running = new Running(command, words, {
      ...options,
      env: { ...BASE_ENVIRONMENT, TMPDIR: this.scratch, ...options.env },
    });
    this.#started.push(running);
    return running;
  }
}

/** Words before a command that is to run in a network namespace. The command keeps the pid of its start. */
export function inNamespace(netns: string | undefined): string[] {
  return netns === undefined ? [] : ['nsenter', `--net=${netns}`, '--'];
}

/** Checks how a program ended; the message shows what it said. */
export function expectStatus(result: Result, status: number): Result {
  assert.equal(result.status, status, `status of ${result.command}:\n${result.output}`);
  return result;
}

/** Runs the executable under test once, without directories. */
export function bareRkt(args: readonly string[], options: StartOptions = {}): Promise<Result> {
  return execute(RKT_BIN, args, { ...options, env: { ...BASE_ENVIRONMENT, ...options.env } });
}
