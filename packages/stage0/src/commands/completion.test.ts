// The completion script in a real bash, with a stand-in for rkt that knows two images and five pods
// (contract stage0 1.10).

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { bashCompletion } from '../cli/bash-completion.ts';

const PODS = [
  'aaaa0001\tweb\texample.com/web:1\trunning\t1 minute ago\t1 minute ago\tdefault:ip4=172.16.28.2',
  '\t\tdb\texample.com/db',
  'aaaa0002\tweb\texample.com/web:1\tprepared\t1 minute ago\t\t',
  'bbbb0003\tweb\texample.com/web:1\texited\t1 minute ago\t1 minute ago\t',
  'bbbb0004\t-\t-\t\t\taborted prepare\ta long while ago\t\t',
  'bbbb0005\tweb\texample.com/web:1\texited garbage\t1 day ago\t1 day ago\t',
];
const IMAGES = ['sha512-aaaaaaaaaaaa\tbusybox:1\t1MiB', 'sha512-bbbbbbbbbbbb\tdebian\t9MiB'];

describe('bash completion', () => {
  let directory = '';
  before(async () => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'rkt-completion-'));
    writeFileSync(path.join(directory, 'completion.bash'), await bashCompletion());
    const list = (lines: readonly string[]): string =>
      lines.map((line) => `printf '%s\\n' '${line}'`).join('\n');
    writeFileSync(
      path.join(directory, 'rkt'),
      `#!/bin/bash\necho "$@" >> ${directory}/calls\ncase " $* " in\n*' image list '*) ${list(IMAGES)} ;;\n*' list '*) ${list(PODS)} ;;\nesac\n`,
      { mode: 0o755 },
    );
    mkdirSync(path.join(directory, 'work/sub'), { recursive: true });
    writeFileSync(path.join(directory, 'work/web.aci'), '');
  });
  after(() => rmSync(directory, { recursive: true }));

  function complete(line: string, point = line.length): string[] {
    const script = `source ${directory}/completion.bash; COMP_LINE=$1 COMP_POINT=$2; _rkt; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const stdout = execFileSync('bash', ['--norc', '-c', script, 'bash', line, String(point)], {
      encoding: 'utf8',
      cwd: path.join(directory, 'work'),
      env: { PATH: `${directory}:/usr/bin:/bin`, HOME: '/' },
    });
    return stdout.split('\n').filter((reply) => reply !== '');
  }

  const vectors: readonly (readonly [line: string, replies: readonly string[]])[] = [
    ['rkt ver', ['version']],
    ['rkt ru', ['run', 'run-prepared']],
    ['rkt --debug --dir /x im', ['image']],
    ['rkt image ', ['cat-manifest', 'export', 'extract', 'fsck', 'gc', 'list', 'render', 'rm', 'verify']],
    ['rkt image --debug e', ['export', 'extract']],
    ['rkt help image l', ['list']],
    ['rkt help ver', ['version']],
    ['rkt completion ', ['bash']],
    ['rkt version ', []],
    ['rkt --sys', ['--system-config=']],
    ['rkt gc --g', ['--grace-period=']],
    [
      'rkt run --stage1-',
      [
        '--stage1-image=',
        '--stage1-path=',
        '--stage1-url=',
        '--stage1-name=',
        '--stage1-hash=',
        '--stage1-from-dir=',
      ],
    ],
    ['rkt run --cap-', []],
    ['rkt run --pull-policy=n', ['new', 'never']],
    ['rkt run --pull-policy n', ['new', 'never']],
    ['rkt run --net=', ['default', 'none', 'host', 'all']],
    ['rkt run --net n', []],
    ['rkt image list --order=', ['asc', 'desc']],
    ['rkt run sha512-b', ['sha512-bbbbbbbbbbbb']],
    ['rkt run w', ['web.aci']],
    ['rkt run web.aci -- w', []],
    ['rkt run web.aci -- x --- w', ['web.aci']],
    ['rkt fetch w', ['web.aci']],
    ['rkt image rm ', ['sha512-aaaaaaaaaaaa', 'sha512-bbbbbbbbbbbb']],
    ['rkt image rm x ', ['sha512-aaaaaaaaaaaa', 'sha512-bbbbbbbbbbbb']],
    ['rkt image export sha512-aaaaaaaaaaaa w', ['web.aci']],
    ['rkt image render sha512-aaaaaaaaaaaa ', ['sub']],
    ['rkt run-prepared ', ['aaaa0002']],
    ['rkt enter ', ['aaaa0001']],
    ['rkt enter aaaa0001 bas', ['base32', 'base64', 'basename', 'basenc', 'bash', 'bashbug']],
    ['rkt stop a', ['aaaa0001']],
    ['rkt export ', ['bbbb0003', 'bbbb0005']],
    ['rkt status b', ['bbbb0003', 'bbbb0004', 'bbbb0005']],
    ['rkt rm --uuid-file=w', ['web.aci']],
  ];
  for (const [line, replies] of vectors) {
    it(`of ${line}`, () => {
      const found = complete(line);
      // What programs there are is the machine's business.
      if (line.startsWith('rkt enter aaaa0001')) assert.ok(found.includes('bash'));
      else assert.deepEqual(found, replies);
    });
  }
  it('of rkt rm offers all that does not run', () => {
    assert.deepEqual(complete('rkt rm '), ['aaaa0002', 'bbbb0003', 'bbbb0004', 'bbbb0005']);
  });
  it('looks at the text before the cursor', () => {
    assert.deepEqual(complete('rkt ver --debug', 7), ['version']);
  });
  it('asks the directories that the line names', () => {
    complete('rkt --dir /data --local-config=/l run --working-dir /x ');
    const calls = execFileSync('tail', ['-1', path.join(directory, 'calls')], { encoding: 'utf8' });
    assert.equal(calls, '--dir=/data --local-config=/l image list --no-legend\n');
  });
  it('is registered for rkt', () => {
    const script = `source ${directory}/completion.bash; complete -p rkt`;
    assert.equal(
      execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }),
      'complete -F _rkt rkt\n',
    );
  });
});
