import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { together, type Turn } from './together.ts';

describe('together', () => {
  it('works at the same time and delivers in order', async () => {
    const delivered: number[] = [];
    let running = 0;
    let most = 0;
    const work = async (item: number): Promise<number> => {
      running += 1;
      most = Math.max(most, running);
      await sleep(item % 2 === 0 ? 20 : 1);
      running -= 1;
      return item * 10;
    };
    await together([0, 1, 2, 3, 4, 5, 6], work, (result) => void delivered.push(result));
    assert.deepEqual(delivered, [0, 10, 20, 30, 40, 50, 60]);
    assert.equal(most, 4);
  });
  it('fails by the first in order, cancels the later ones and waits for them', async () => {
    const delivered: string[] = [];
    const ended: string[] = [];
    const work = async (item: string, { signal }: Turn): Promise<string> => {
      try {
        if (item === 'slow') await sleep(50);
        if (item === 'long') await sleep(60_000, undefined, { signal });
        if (item.startsWith('bad')) throw new Error(item);
        return item;
      } finally {
        ended.push(item);
      }
    };
    const items = ['slow', 'bad 1', 'long', 'bad 2', 'never', 'never'];
    await assert.rejects(
      together(items, work, (result) => void delivered.push(result)),
      /^Error: bad 1$/,
    );
    assert.deepEqual(delivered, ['slow']);
    assert.deepEqual(ended.toSorted(), ['bad 1', 'bad 2', 'long', 'slow']);
  });
  it('stops when a result cannot be delivered', async () => {
    let cancelled = false;
    const work = async (item: number, { signal }: Turn): Promise<number> => {
      if (item === 2) await sleep(60_000, undefined, { signal }).catch(() => (cancelled = true));
      return item;
    };
    const deliver = (): never => {
      throw new Error('full');
    };
    await assert.rejects(together([1, 2], work, deliver), /^Error: full$/);
    assert.ok(cancelled);
  });
  it('lets work wait for what is before it', async () => {
    const events: number[] = [];
    const work = async (item: number, { earlier }: Turn): Promise<number> => {
      if (item > 2) await earlier;
      else await sleep(10 * (3 - item));
      events.push(item);
      return item;
    };
    const deliver = async (item: number): Promise<void> => {
      await sleep(1);
      events.push(item * 10);
    };
    await together([0, 1, 2, 3, 4, 5, 6], work, deliver);
    assert.deepEqual(events, [2, 1, 0, 0, 10, 20, 3, 30, 4, 40, 5, 50, 6, 60]);
  });
  it('does nothing with nothing', () => together([], assert.fail, assert.fail));
});
