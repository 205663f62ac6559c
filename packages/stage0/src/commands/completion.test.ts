// The completion scripts in real shells, with a stand-in for rkt that knows two images and five pods (contract stage0
// 1.10).

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { bashCompletion } from '../cli/completion/bash.ts';
import { fishCompletion } from '../cli/completion/fish.ts';
import { zshCompletion } from '../cli/completion/zsh.ts';

const PODS = [
  'aaaa0001\tweb\texample.com/web:1\trunning\t1 minute ago\t1 minute ago\tdefault:ip4=172.16.28.2',
  '\t\tdb\texample.com/db',
  'aaaa0002\tweb\texample.com/web:1\tprepared\t1 minute ago\t\t',
  'bbbb0003\tweb\texample.com/web:1\texited\t1 minute ago\t1 minute ago\t',
  'bbbb0004\t-\t-\t\t\taborted prepare\ta long while ago\t\t',
  'bbbb0005\tweb\texample.com/web:1\texited garbage\t1 day ago\t1 day ago\t',
];
const IMAGES = ['sha512-aaaaaaaaaaaa\tbusybox:1\t1MiB', 'sha512-bbbbbbbbbbbb\tdebian\t9MiB'];

/** Command lines, and what may stand where they end. */
const VECTORS: readonly (readonly [line: string, replies: readonly string[]])[] = [
  ['rkt ver', ['version']],
  ['rkt ru', ['run', 'run-prepared']],
  ['rkt --debug --dir /x im', ['image']],
  ['rkt image ', ['cat-manifest', 'export', 'extract', 'fsck', 'gc', 'list', 'render', 'rm', 'verify']],
  ['rkt image --debug e', ['export', 'extract']],
  ['rkt help image l', ['list']],
  ['rkt help ver', ['version']],
  ['rkt completion ', ['bash', 'fish', 'zsh']],
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
interface Stand {
  /** Where the stand-in is. */
  readonly directory: string;
  /** Environment and working directory of shells. */
  readonly options: { readonly encoding: 'utf8'; readonly cwd: string; readonly env: Record<string, string> };
  /** Arguments of the last call of rkt. */
  lastCall(): string;
}

// Declares a suite for one shell, which is skipped when there is none.
function shellSuite(shell: string, script: () => Promise<string>, body: (stand: Stand) => void): void {
  describe(`${shell} completion`, () => {
    let directory = '';
    before(async function () {
      if (spawnSync(shell, ['-c', ':']).error !== undefined) {
        this.currentTest?.parent?.suites.forEach((suite) => (suite.title += ` [needs ${shell}]`));
        this.skip();
      }
      directory = mkdtempSync(path.join(os.tmpdir(), 'rkt-completion-'));
      writeFileSync(path.join(directory, `completion.${shell}`), await script());
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
    after(() => {
      if (directory !== '') rmSync(directory, { recursive: true });
    });
    body({
      get directory() {
        return directory;
      },
      get options() {
        return {
          encoding: 'utf8' as const,
          cwd: path.join(directory, 'work'),
          env: { PATH: `${directory}:/usr/bin:/bin`, HOME: directory, TERM: 'dumb' },
        };
      },
      lastCall: () => execFileSync('tail', ['-1', path.join(directory, 'calls')], { encoding: 'utf8' }),
    });
  });
}

const nonEmpty = (text: string): string[] => text.split('\n').filter((line) => line !== '');

shellSuite('bash', bashCompletion, (stand) => {
  function complete(line: string, point = line.length): string[] {
    const script = `source ${stand.directory}/completion.bash; COMP_LINE=$1 COMP_POINT=$2; _rkt; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return nonEmpty(
      execFileSync('bash', ['--norc', '-c', script, 'bash', line, String(point)], stand.options),
    );
  }

  for (const [line, replies] of VECTORS) {
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
    assert.equal(stand.lastCall(), '--dir=/data --local-config=/l image list --no-legend\n');
  });
  it('is registered for rkt', () => {
    const script = `source ${stand.directory}/completion.bash; complete -p rkt`;
    assert.equal(
      execFileSync('bash', ['--norc', '-c', script], { encoding: 'utf8' }),
      'complete -F _rkt rkt\n',
    );
  });
});

shellSuite('fish', fishCompletion, (stand) => {
  function complete(line: string): string[] {
    const script = `source ${stand.directory}/completion.fish; complete -C $argv[1]`;
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', script, line], stand.options);
    assert.equal(stderr, '');
    return nonEmpty(stdout).map((reply) => reply.split('\t')[0] ?? '');
  }
  for (const [line, replies] of VECTORS) {
    it(`of ${line}`, () => {
      const current = line.split(' ').at(-1) ?? '';
      // When nothing begins with the word, fish offers what resembles it.
      const found = complete(line)
        .filter((reply) => reply.startsWith(current))
        .map((reply) => reply.replace(/\/$/, '').replace(/^--.*=(?=.)/, ''));
      if (line.startsWith('rkt enter aaaa0001')) assert.ok(found.includes('bash'));
      else assert.deepEqual(found.toSorted(), replies.toSorted());
    });
  }
  it('says what words mean', () => {
    const script = `source ${stand.directory}/completion.fish; complete -C 'rkt sto'; complete -C 'rkt stop a'; complete -C 'rkt stop --f'`;
    assert.equal(
      execFileSync('fish', ['--no-config', '-c', script], stand.options),
      'stop\tStop running pods\naaaa0001\tweb\n--force\tKill the pod at once\n',
    );
  });
  it('asks the directories that the line names', () => {
    complete('rkt --dir /data --local-config=/l run --working-dir /x ');
    assert.equal(stand.lastCall(), '--dir=/data --local-config=/l image list --no-legend\n');
  });
});

shellSuite('zsh', zshCompletion, (stand) => {
  // The words of a line as the function gets them.
  function candidates(line: string): string[] {
    const script = `source ${stand.directory}/completion.zsh; _rkt_words=("\${(@s: :)1}"); _rkt_complete`;
    return nonEmpty(execFileSync('zsh', ['-f', '-c', script, 'zsh', line], stand.options));
  }
  for (const [line, replies] of VECTORS) {
    it(`of ${line}`, () => {
      const current = line.split(' ').at(-1) ?? '';
      const beginning = current.startsWith('--') ? current.replace(/^.*=/, '') : current;
      const all = candidates(line);
      const found = all.filter((each) => each.startsWith(beginning));
      if (line.startsWith('rkt enter aaaa0001')) assert.deepEqual(all, [':programs']);
      else if (replies.includes('web.aci')) assert.ok(all.includes(':files'));
      else if (replies.includes('sub')) assert.deepEqual(all, [':directories']);
      else {
        const expected = replies.map((reply) => (current.includes('=') ? reply.replace(/^.*=/, '') : reply));
        assert.deepEqual(found.toSorted(), expected.toSorted());
      }
    });
  }
  // An interactive zsh on a terminal of its own; compadd is asked which of the candidates it takes.
  function complete(line: string): string[] {
    const inner = [
      "PROMPT=''",
      'autoload -Uz compinit && compinit -u -D',
      `source ${stand.directory}/completion.zsh`,
      "bindkey '^I' complete-word",
      'setopt no_list_beep no_beep',
      'compadd() { local -a hits; builtin compadd -A hits "$@"; local hit; for hit in $hits; do print -r -- "hit:$IPREFIX$hit"; done >> $HITS; builtin compadd "$@"; }',
      'comppostfuncs=(exit)',
    ].join('\n');
    writeFileSync(path.join(stand.directory, 'inner.zsh'), inner);
    const hits = path.join(stand.directory, 'hits');
    writeFileSync(hits, '');
    const outer = [
      'zmodload zsh/zpty',
      'export HITS=$1',
      `zpty shell "zsh -f -i"`,
      `zpty -w shell "source ${stand.directory}/inner.zsh; print rea''dy"`,
      "zpty -r -m shell out '*ready*'",
      "zpty -w -n shell $2$'\\t'",
      'while zpty -r shell out; do :; done',
    ].join('\n');
    const { stderr } = spawnSync('zsh', ['-f', '-c', outer, 'zsh', hits, line], {
      ...stand.options,
      timeout: 20_000,
    });
    assert.equal(stderr, '');
    return [...new Set(nonEmpty(readFileSync(hits, 'utf8')))].map((hit) => hit.replace('hit:', ''));
  }
  for (const [line, replies] of [
    ['rkt ru', ['run', 'run-prepared']],
    ['rkt run --pull-policy=n', ['--pull-policy=new', '--pull-policy=never']],
    ['rkt fetch w', ['web.aci']],
    ['rkt gc --g', ['--grace-period=']],
    ['rkt stop a', ['aaaa0001']],
  ] as const) {
    it(`on a terminal of ${line}`, () => assert.deepEqual(complete(line), replies));
  }
  it('asks the directories that the line names', () => {
    candidates('rkt --dir /data --local-config=/l run --working-dir /x ');
    assert.equal(stand.lastCall(), '--dir=/data --local-config=/l image list --no-legend\n');
  });
});
