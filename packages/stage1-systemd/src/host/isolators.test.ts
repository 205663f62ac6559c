import assert from 'node:assert/strict';

import { resourceDirectives, unenforceableFor } from './isolators.ts';

const ALL = { version: 1, controllers: ['memory', 'cpu'], leastOomScoreAdjust: -1000 } as const;
const limit = (name: string, value: unknown): { name: string; value: unknown } => ({ name, value });
const directives = (
  isolators: readonly unknown[],
  abilities: Parameters<typeof resourceDirectives>[1] = ALL,
): unknown =>
  resourceDirectives(
    { isolators } as never,
    abilities,
    unenforceableFor('app "a"', false, () => {}),
  );

describe('resource isolators', () => {
  it('become directives of systemd', () => {
    assert.deepEqual(
      directives([
        limit('resource/memory', { limit: '25Mi' }),
        limit('resource/cpu', { limit: '800m' }),
        limit('os/linux/cpu-shares', 512),
        limit('os/linux/oom-score-adj', 7),
      ]),
      [
        ['MemoryMax', '26214400'],
        ['CPUQuota', '80%'],
        ['CPUShares', '512'],
        ['OOMScoreAdjust', '7'],
      ],
    );
  });
  it('are weights where cgroups are of version 2', () => {
    for (const [shares, weight] of [
      [1024, '100'],
      [2, '1'],
      [262144, '10000'],
    ] as const) {
      assert.deepEqual(directives([limit('os/linux/cpu-shares', shares)], { ...ALL, version: 2 }), [
        ['CPUWeight', weight],
      ]);
    }
  });
  it('count once, the last one; requests alone set nothing', () => {
    assert.deepEqual(
      directives([limit('resource/memory', { limit: '1G' }), limit('resource/memory', { limit: '2G' })]),
      [['MemoryMax', '2000000000']],
    );
    assert.deepEqual(directives([limit('resource/memory', { request: '1G' })]), []);
  });
  it('are refused where they cannot be enforced, or told', () => {
    const none = { version: 2, controllers: [], leastOomScoreAdjust: 0 } as const;
    for (const isolator of [
      limit('resource/memory', { limit: '1G' }),
      limit('resource/cpu', { limit: '1' }),
      limit('os/linux/cpu-shares', 2),
      limit('os/linux/oom-score-adj', -1),
    ]) {
      assert.throws(() => directives([isolator], none), {
        code: 'unenforceable',
        message: new RegExp(isolator.name),
      });
      const told: string[] = [];
      const result = resourceDirectives(
        { isolators: [isolator] } as never,
        none,
        unenforceableFor('app "a"', true, (line) => told.push(line)),
      );
      assert.deepEqual(result, []);
      assert.match(
        told.join('\n'),
        /^warning: \S+ isolator set but support disabled in the kernel, skipping$/,
      );
    }
  });
  it('are more than nothing', () => {
    for (const name of ['resource/memory', 'resource/cpu']) {
      for (const amount of ['0', '-1']) {
        assert.throws(() => directives([limit(name, { limit: amount })]), { code: 'bad-limit' });
      }
    }
  });
  it('have a largest number of cores', () => {
    assert.throws(
      () => directives([limit('resource/cpu', { limit: '9223372036854776' })]),
      /exceeds the maximum millivalue/,
    );
  });
});
