// What the commands whose speed counts do not load when they start: parts of node that take milliseconds each.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { TempDir } from '@rkt/testkit/tmp';
import { bundle } from './bundle.ts';
import { pinnedNode } from './pinned-node.ts';
import { workspaceRoot } from './workspace.ts';

const SLOW = ['crypto', 'tty', 'zlib', 'http', 'https', 'tls', 'worker_threads', 'readline'];

/** The modules of node that are there once a module of ours is loaded from its bundle. */
async function loadedWith(module: string): Promise<string[]> {
  using tmp = new TempDir('start-up');
  const output = tmp.join('bundle.cjs');
  const entry = path.join(workspaceRoot, module);
  await bundle({ entry, output, define: { RKT_BUILD_INFO: {} }, whole: true });
  const script = `require(${JSON.stringify(output)}); console.log(process.moduleLoadList.join('\\n'));`;
  const text = execFileSync(pinnedNode, ['--disable-warning=ExperimentalWarning', '--eval', script], {
    encoding: 'utf8',
  });
  return [...text.matchAll(/^NativeModule (.*)$/gm)].map(([, name = '']) => name);
}

describe('start-up', () => {
  it('is seen through', async () => {
    assert.ok((await loadedWith('packages/stage0/src/fetch/download.ts')).includes('crypto'));
  });
  for (const command of ['run', 'prepare', 'run-prepared', 'list', 'status', 'enter', 'stop', 'gc']) {
    it(`of ${command} leaves out what is slow`, async () => {
      const loaded = await loadedWith(`packages/stage0/src/commands/${command}.ts`);
      assert.deepEqual(
        SLOW.filter((name) => loaded.includes(name)),
        [],
      );
    });
  }
  // A thread has what made it.
  for (const [part, has] of [
    ['tree-root', []],
    ['copy-thread', ['worker_threads']],
  ] as const) {
    it(`of a copy leaves out what is slow: ${part}`, async () => {
      const loaded = await loadedWith(`packages/stage0/src/treestore/${part}.ts`);
      assert.deepEqual(
        SLOW.filter((name) => loaded.includes(name)),
        has,
      );
    });
  }
});
