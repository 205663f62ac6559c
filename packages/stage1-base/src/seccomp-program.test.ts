// Programs are run here as the kernel runs them, over every number of a call.

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { seccompFilter, verdictsOf } from './seccomp.ts';
import { type CallVerdicts, compileSeccomp, type Verdict } from './seccomp-program.ts';
import { I386_CALLS, X86_64_CALLS } from './syscall-numbers.ts';

const X86_64 = 0xc000_003e;
const I386 = 0x4000_0003;

interface Call {
  readonly arch: number;
  readonly number: number;
  readonly words?: readonly number[];
}

// The machine of bpf(4), as far as these programs use it.
function judge(program: Buffer, { arch, number, words = [] }: Call): Verdict {
  const data = new Map<number, number>([
    [0, number],
    [4, arch],
  ]);
  words.forEach((word, index) => data.set(16 + 8 * index, word));
  let loaded = 0;
  for (let at = 0; ; at += 1) {
    assert.ok(at * 8 < program.length, 'no program runs off its end');
    const code = program.readUInt16LE(at * 8);
    const [yes, no] = [program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const value = program.readUInt32LE(at * 8 + 4);
    if (code === 0x20) loaded = data.get(value) ?? 0;
    else if (code === 0x15) at += loaded === value ? yes : no;
    else if (code === 0x35) at += loaded >= value ? yes : no;
    else if (code === 0x05) at += value;
    else if (code === 0x06) {
      if (value === 0x7fff_0000) return 'allow';
      return value === 0x8000_0000 ? 'kill' : { errno: value & 0xffff };
    } else assert.fail(`instruction ${code}`);
  }
}

const verdicts = fc.oneof(
  fc.constant<Verdict>('allow'),
  fc.constant<Verdict>('kill'),
  fc.integer({ min: 1, max: 200 }).map((errno): Verdict => ({ errno })),
);
// Calls that i386 also makes by socketcall and ipc have tests of their own.
const plain = [...X86_64_CALLS.keys()].filter(
  (name) => !/^(socket|sem|msg|shm|send|recv|bind|connect|listen|accept|get|set|shutdown)/.test(name),
);

describe('programs of system call filters', () => {
  it('decide every call as the filter says', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom(...plain), verdicts),
        verdicts,
        verdicts,
        (some, otherwise, foreign) => {
          const unknown: Verdict = { errno: 38 };
          const filter: CallVerdicts = { calls: new Map(Object.entries(some)), otherwise, unknown, foreign };
          const program = compileSeccomp(filter, 'x64');
          for (const [arch, table] of [
            [X86_64, X86_64_CALLS],
            [I386, I386_CALLS],
          ] as const) {
            const known = new Set(table.values());
            const last = Math.max(...known);
            for (const [name, number] of table) {
              assert.deepEqual(judge(program, { arch, number }), filter.calls.get(name) ?? otherwise, name);
            }
            for (const number of [...Array(600).keys(), 0x3fff_ffff].filter((each) => !known.has(each)))
              assert.deepEqual(judge(program, { arch, number }), number > last ? unknown : otherwise);
          }
          assert.deepEqual(judge(program, { arch: X86_64, number: 0x4000_0000 }), foreign);
          assert.deepEqual(judge(program, { arch: 0xc000_00b7, number: 0 }), foreign);
        },
      ),
      { numRuns: runs(25) },
    );
  });

  it('see through socketcall and ipc', () => {
    const deny: CallVerdicts = {
      calls: new Map<string, Verdict>([
        ['socket', { errno: 1 }],
        ['shmget', 'kill'],
      ]),
      otherwise: 'allow',
      unknown: 'allow',
      foreign: 'kill',
    };
    const program = compileSeccomp(deny, 'x64');
    const via = (name: string, first: number): Verdict =>
      judge(program, { arch: I386, number: I386_CALLS.get(name) ?? -1, words: [first] });
    assert.deepEqual(via('socketcall', 1), { errno: 1 });
    assert.deepEqual(via('socketcall', 2), 'allow');
    assert.deepEqual(via('ipc', 23), 'kill');
    assert.deepEqual(via('ipc', 24), 'allow');
    const allow = compileSeccomp({ ...deny, calls: new Map([['bind', 'allow']]), otherwise: 'kill' }, 'x64');
    const socketcall = I386_CALLS.get('socketcall') ?? -1;
    assert.equal(judge(allow, { arch: I386, number: socketcall, words: [2] }), 'allow');
    assert.equal(judge(allow, { arch: I386, number: socketcall, words: [1] }), 'kill');
  });

  it('hide the audit socket alone', () => {
    const program = compileSeccomp(
      { calls: new Map(), otherwise: 'allow', unknown: 'allow', foreign: 'kill', hideAudit: true },
      'x64',
    );
    const socket = (family: number, protocol: number): Verdict =>
      judge(program, {
        arch: X86_64,
        number: X86_64_CALLS.get('socket') ?? -1,
        words: [family, 3, protocol],
      });
    assert.deepEqual(socket(16, 9), { errno: 97 });
    assert.equal(socket(16, 0), 'allow');
    assert.equal(socket(2, 9), 'allow');
  });

  it('of the default list: new calls do not exist, forbidden ones kill', () => {
    const filter = seccompFilter({});
    assert.ok(filter !== undefined);
    const program = compileSeccomp(verdictsOf(filter), 'x64');
    const native = (name: string): Verdict =>
      judge(program, { arch: X86_64, number: X86_64_CALLS.get(name) ?? -1 });
    for (const name of ['read', 'statx', 'rseq', 'execve', 'openat2', 'futex_waitv'])
      assert.equal(native(name), 'allow', name);
    for (const name of ['bpf', 'mount', 'ptrace', 'kexec_load', 'setns'])
      assert.equal(native(name), 'kill', name);
    for (const name of ['clone3', 'io_uring_setup', 'fsopen'])
      assert.deepEqual(native(name), { errno: 38 }, name);
    assert.deepEqual(judge(program, { arch: X86_64, number: 500 }), { errno: 38 });
  });

  it('are refused on machines without a table, and errors that do not exist are', () => {
    assert.throws(
      () =>
        compileSeccomp(
          { calls: new Map(), otherwise: 'allow', unknown: 'allow', foreign: 'kill' },
          'riscv64',
        ),
      /riscv64/,
    );
    assert.throws(() => verdictsOf({ mode: 'deny', calls: ['read'], errno: 'ENOTHING' }), /ENOTHING/);
  });
});
