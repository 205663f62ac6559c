// The stage1 in another language of docs/stage1-guide.md: its files are taken from the page, and its commands are run.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { BASE_ENVIRONMENT, REPOSITORY, RKT_BIN } from '../lib/environment.ts';
import { shellImage } from '../lib/images.ts';
import { execute } from '../lib/process.ts';
import { expectStatus } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const GUIDE = readFileSync(join(REPOSITORY, 'docs/stage1-guide.md'), 'utf8');

/** A line with a path, and the block of code below it. */
const FILES: readonly (readonly [path: string, content: string])[] = [
  ...GUIDE.matchAll(/^`([\w./-]+)`:\n\n```\w+\n([^]*?)^```$/gm),
].map(([, path = '', content = '']) => [path, content]);

/** The commands that make the image and run it. */
const COMMANDS = /^Then:\n\n```sh\n([^]*?)^```$/m.exec(GUIDE)?.[1] ?? '';

suite('the guide for writers of a stage1', ['root', 'busybox', 'program:python3', 'program:npm'], (the) => {
  let directory: string;
  before(() => {
    directory = the.rkt.tmp.join('guide');
    for (const [path, content] of FILES) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), content);
    }
  });

  it('has a stage1 that runs an app, made by its commands', async () => {
    const image = shellImage(the.rkt, 'echo "in $AC_APP_NAME"; exit 7', { name: 'example.com/guided' });
    const script = COMMANDS.replace(/\brkt run\b/, `${RKT_BIN} ${the.rkt.directoryFlags.join(' ')} run`);
    const result = await execute('sh', ['-e', '-c', script.replace('IMAGE', image)], {
      cwd: directory,
      env: BASE_ENVIRONMENT,
    });
    assert.equal(expectStatus(result, 7).stdout, 'in guided\n');
    assert.ok(existsSync(join(directory, 'mine.aci')));
  });
  it('has declared what that can do, and the conformance suite agrees', async () => {
    const command = ['run', 'conformance', '--', join(directory, 'abilities.json')];
    const result = await execute('npm', command, {
      cwd: REPOSITORY,
      env: { ...BASE_ENVIRONMENT, RKT_BIN, TMPDIR: the.rkt.tmp.path },
      timeoutMs: 120_000,
    });
    assert.match(expectStatus(result, 0).stdout, /^\| `--net=host` +\| yes +\|$/m);
    assert.match(result.stdout, /^\d+ passed, 0 failed, \d+ skipped$/m);
    for (const line of result.stdout.split('\n')) assert.doesNotMatch(line, /not checked|FAILS/);
  });
});
