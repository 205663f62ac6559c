// Much output to the log: the app is not held up, nothing grows, and rkt logs gives every byte back (contract stage1 2.14).
// RKT_LOG_BYTES=1000000000 is a gigabyte, which takes four minutes.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';

import { BASE_ENVIRONMENT, RKT_BIN } from '../lib/environment.ts';
import { FLAVOURS } from '../lib/flavours.ts';
import { shellImage } from '../lib/images.ts';
import { execute, type Result, shellQuote, sleep } from '../lib/process.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { skip } from '../lib/requires.ts';
import { suite } from '../lib/suite.ts';

const LINE_BYTES = 1001;
const COUNT = Math.ceil(Number(process.env['RKT_LOG_BYTES'] ?? 50_000_000) / LINE_BYTES);
const TIMEOUT_MS = 60_000 + COUNT;
const FILLER = 'abcdefghi'.repeat(100);

/** Most that each process of the pod had in memory of its own, by name, in kilobytes. */
type Peaks = Map<string, number>;

suite('much output to the log', ['root', 'busybox', 'overlayfs'], (the) => {
  const nspawn = FLAVOURS.find(({ can }) => can.severalApps);
  before(function () {
    if (nspawn === undefined || !existsSync(nspawn.image)) skip(this, 'needs a flavour with a journal');
  });
  /** Runs rkt with what it prints in a file or program, not in this process. */
  const piped = (args: readonly string[], into: string): Promise<Result> =>
    execute('sh', ['-c', `${shellQuote([RKT_BIN, ...the.rkt.directoryFlags, ...args])} ${into}`], {
      env: BASE_ENVIRONMENT,
      timeoutMs: TIMEOUT_MS,
    });

  it(`of ${COUNT * LINE_BYTES} bytes comes back whole, and no process grows`, async function () {
    this.timeout(2 * TIMEOUT_MS);
    const uuidFile = the.rkt.tmp.join('uuid');
    rmSync(uuidFile, { force: true });
    const script = `awk 'BEGIN{s=""; for(j=0;j<100;j++) s=s "abcdefghi"; for(i=0;i<${COUNT};i++) printf "%09d %s %089d\\n", i, s, i*7}'`;
    const began = performance.now();
    const running = piped(
      [
        INSECURE,
        'run',
        ...(nspawn?.stage1 ?? []),
        '--net=none',
        `--uuid-file-save=${uuidFile}`,
        shellImage(the.rkt, script),
      ],
      '> /dev/null',
    );
    const peaks = await watch(uuidFile, running);
    expectStatus(await running, 0);
    const ran = performance.now();
    const uuid = readFileSync(uuidFile, 'utf8').trim();
    const { stdout } = await piped(['logs', '--output=cat', uuid], '| sha256sum');
    const figures = [...peaks].map(([name, kilobytes]) => `${name} ${kilobytes} kB`).join(', ');
    const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
    if (process.env['RKT_LOG_BYTES'] !== undefined) {
      console.log(
        `    written in ${seconds(ran - began)}, read in ${seconds(performance.now() - ran)}; ${figures}`,
      );
    }
    const expected = createHash('sha256');
    for (let i = 0; i < COUNT; i += 1) {
      expected.update(`${String(i).padStart(9, '0')} ${FILLER} ${String(i * 7).padStart(89, '0')}\n`);
    }
    assert.equal(stdout.split(' ', 1)[0], expected.digest('hex'));
    // At rest they have some 1 MB each; the journal's own pages are files, which the kernel can drop.
    // nspawn has the name of the loader that starts it.
    for (const name of ['systemd-journal', 'ld-linux-x86-64', 'systemd']) {
      const peak = peaks.get(name);
      assert.ok(peak !== undefined, `${name} was seen: ${figures}`);
      assert.ok(peak < 16_384, `${name} has ${peak} kB of its own`);
    }
  });

  /** Looks at the processes of the pod until it ends. */
  async function watch(uuidFile: string, running: Promise<Result>): Promise<Peaks> {
    const peaks: Peaks = new Map();
    let isOver = false;
    const end = running.finally(() => {
      isOver = true;
    });
    end.catch(() => undefined);
    while (!isOver) {
      await sleep(100);
      if (!existsSync(uuidFile)) continue;
      for (const pid of podProcesses(readFileSync(uuidFile, 'utf8').trim())) {
        const { name, kilobytes } = ownMemory(pid);
        peaks.set(name, Math.max(peaks.get(name) ?? 0, kilobytes));
      }
    }
    return peaks;
  }
});

/** nspawn of the pod, which has the UUID in its command, and all below it. */
function podProcesses(uuid: string): string[] {
  if (uuid === '') return [];
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const first = pids.filter((pid) => text(`/proc/${pid}/cmdline`).includes(`--machine=rkt-${uuid}`));
  const found = [...first];
  for (const pid of found)
    found.push(...text(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean));
  return found;
}

function ownMemory(pid: string): { name: string; kilobytes: number } {
  const status = text(`/proc/${pid}/status`);
  return {
    name: /^Name:\t(.*)$/m.exec(status)?.[1] ?? '',
    kilobytes: Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0),
  };
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
