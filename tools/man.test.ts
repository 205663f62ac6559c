// The manual pages, judged by the programs that format them: groff and mandoc.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { COMMAND_TREE, type CommandNode } from '@rkt/stage0/cli/command-tree';
import { roff } from '@rkt/stage0/cli/man-page';
import { writeManPages } from './man.ts';

const FORMATTERS: readonly (readonly [program: string, ...words: string[]])[] = [
  ['groff', '-ww', '-man', '-Tutf8', '-z'],
  ['mandoc', '-T', 'lint', '-W', 'warning'],
];

describe('manual pages', () => {
  let directory = '';
  before(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'rkt-man-'));
    await writeManPages(directory);
  });
  after(() => rmSync(directory, { recursive: true }));

  const read = (page: string): string => {
    const words = ['-T', 'ascii', '-O', 'width=200', path.join(directory, page)];
    const { stdout, error } = spawnSync('mandoc', words, { encoding: 'utf8' });
    if (error !== undefined) throw error;
    // Bold is each letter twice, with a step back between.
    return stdout.replaceAll(new RegExp(`.${String.fromCharCode(8)}`, 'g'), '');
  };

  for (const [program, ...words] of FORMATTERS) {
    it(`${program} finds nothing wrong`, function () {
      this.timeout(60_000);
      for (const page of readdirSync(directory)) {
        const { status, stdout, stderr, error } = spawnSync(program, [...words, path.join(directory, page)], {
          encoding: 'utf8',
        });
        if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') this.skip();
        assert.deepEqual([status, stdout, stderr], [0, '', ''], page);
      }
    });
  }
  it('are there for all commands, with all that help shows of their flags', async function () {
    this.timeout(60_000);
    if (spawnSync('mandoc', ['-h']).error !== undefined) this.skip();
    const pages = new Set<string>();
    const visit = async (node: CommandNode, name: string): Promise<void> => {
      pages.add(`${name}.1`);
      const spec = await node.spec?.();
      const text = read(`${name}.1`);
      assert.ok(text.includes(`${name} - ${node.summary}`), `${name}: name and summary`);
      for (const [flag, { hidden, deprecated, describe }] of Object.entries({
        ...spec?.flags,
        ...spec?.imageFlags,
      })) {
        const isShown = hidden !== true && deprecated === undefined;
        assert.equal(new RegExp(`^ +--${flag}(=|\\[|$)`, 'm').test(text), isShown, `${name}: --${flag}`);
        if (isShown) assert.ok(text.replaceAll(/\s+/g, ' ').includes(describe), `${name}: ${describe}`);
      }
      for (const [line] of spec?.examples ?? []) assert.ok(text.includes(`rkt ${line}`), `${name}: ${line}`);
      for (const child of node.children ?? []) {
        if (child.hidden !== true) await visit(child, `${name}-${child.name}`);
      }
    };
    await visit(COMMAND_TREE, 'rkt');
    assert.deepEqual(new Set(readdirSync(directory)), pages);
  });
  it('take no character of a text for an instruction', () => {
    assert.equal(roff(`.x -a "b" 'c' \\d ~ ^`), `\\&.x \\-a \\(dqb\\(dq \\(aqc\\(aq \\ed \\(ti \\(ha`);
  });
});
