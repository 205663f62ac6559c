// What a program gets from execProgram, and which limit on open files it is given.

import assert from 'node:assert/strict';

import { guessNofileLimit, parseNofileLimits } from './exec.ts';
import { runFixture } from './testing/run-fixture.ts';

describe('execProgram', () => {
  it('passes words, variables and the chosen descriptors, and nothing else', () => {
    const { stdout, stderr, status } = runFixture(import.meta.url, 'testing/exec.test.fixture.ts');
    assert.equal(status, 0, stderr);
    const [name, ...words] = stdout.split('|');
    const kept = /^kept (\d+)$/.exec(name ?? '')?.[1];
    assert.deepEqual(words.slice(0, -1), ['', 'two words', 'näme €', 'a=b\nc', '', 'unset']);
    assert.equal(words.at(-1), `0\n1\n2\n${kept}\n`);
  });

  it('leaves signals as programs expect them', () => {
    const { stdout } = runFixture(import.meta.url, 'testing/exec-signals.test.fixture.ts');
    assert.match(stdout, /^SigIgn:\t0000000000000000$/m);
    assert.match(stdout, /^SigBlk:\t0000000000000000$/m);
  });

  it('says what cannot be executed', () => {
    const shell = '"$@" /no/such/program';
    const { stderr, status } = runFixture(import.meta.url, 'testing/exec.test.fixture.ts', { shell });
    assert.notEqual(status, 0);
    assert.match(stderr, /KernelError.*execve \/no\/such\/program: no such file or directory/s);
  });
});

describe('the limit on open files', () => {
  it('is found in the text of the kernel', () => {
    const text =
      'Limit  Soft  Hard\nMax open files            1024                 524288               files \n';
    assert.deepEqual(parseNofileLimits(text), { soft: 1024n, hard: 524288n });
    assert.deepEqual(parseNofileLimits('Max open files  unlimited unlimited files '), {
      soft: 2n ** 64n - 1n,
      hard: 2n ** 64n - 1n,
    });
    assert.equal(parseNofileLimits(''), undefined);
  });

  it('was what node left alone, what the parent has, or the default of systemd', () => {
    const raised = { soft: 524288n, hard: 524288n };
    assert.equal(guessNofileLimit({ soft: 7n, hard: 9n }, undefined), 7n);
    assert.equal(guessNofileLimit(raised, { soft: 1000n, hard: 524288n }), 1000n);
    assert.equal(guessNofileLimit(raised, undefined), 1024n);
    assert.equal(guessNofileLimit({ soft: 50n, hard: 50n }, raised), 50n);
  });
});
