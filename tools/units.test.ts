// The units that are shipped, judged by systemd's own programs, and what they make in an empty root.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { workspaceRoot } from './workspace.ts';

const UNITS = path.join(workspaceRoot, 'packages/stage0/units');

describe('shipped units', () => {
  let root = '';
  before(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-units-'));
  });
  after(() => fs.rmSync(root, { recursive: true }));

  /** What the program said; undefined when there is no such program. */
  function run(program: string, ...words: readonly string[]): string | undefined {
    const { status, stdout, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
    assert.equal(status, 0, `${program}: ${stdout}${stderr}`);
    return stdout + stderr;
  }

  it('pass systemd-analyze verify', function () {
    this.timeout(60_000);
    const directory = path.join(root, 'system');
    fs.mkdirSync(directory);
    // verify looks whether the programs are there.
    const program = path.join(root, 'rkt');
    fs.writeFileSync(program, '#!/bin/sh\n', { mode: 0o755 });
    const files = fs.readdirSync(path.join(UNITS, 'system')).map((name) => {
      const text = fs.readFileSync(path.join(UNITS, 'system', name), 'utf8');
      const file = path.join(directory, name.replace('rkt@', 'rkt@web'));
      fs.writeFileSync(path.join(directory, name), text.replaceAll('/usr/bin/rkt ', `${program} `));
      return file;
    });
    const said = run('systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', ...files);
    if (said === undefined) this.skip();
    assert.equal(said, '');
  });
  it('speak of commands and pages that are spelled so', () => {
    for (const name of fs.readdirSync(path.join(UNITS, 'system'))) {
      const text = fs.readFileSync(path.join(UNITS, 'system', name), 'utf8');
      for (const [, command] of text.matchAll(/^Exec\w+=(.*)$/gm)) {
        assert.match(command ?? '', /^\/usr\/bin\/rkt (gc|run|metadata-service|api-service)\b/);
      }
      if (name.endsWith('.socket'))
        assert.ok(fs.existsSync(path.join(UNITS, 'system', name.replace('.socket', '.service'))));
    }
  });
  it('make the groups and the directories of the contract', function () {
    if (process.getuid?.() !== 0) this.skip();
    fs.mkdirSync(path.join(root, 'etc'));
    const sysusers = run('systemd-sysusers', `--root=${root}`, path.join(UNITS, 'sysusers.d/rkt.conf'));
    if (sysusers === undefined) this.skip();
    const groups = new Map(
      fs
        .readFileSync(path.join(root, 'etc/group'), 'utf8')
        .split('\n')
        .map((line) => line.split(':'))
        .map(([name = '', , gid]) => [name, Number(gid)]),
    );
    for (const name of ['rkt', 'rkt-admin']) assert.ok((groups.get(name) ?? 0) > 0, name);
    run('systemd-tmpfiles', `--root=${root}`, '--create', path.join(UNITS, 'tmpfiles.d/rkt.conf'));
    const made = (directory: string): readonly [string, number, number | undefined] => {
      const { mode, uid, gid } = fs.statSync(path.join(root, directory));
      return [(mode & 0o7777).toString(8), uid, gid];
    };
    for (const [mode, group, directories] of [
      ['2750', 'rkt', ['', 'tmp', 'locks', 'pods', 'pods/run', 'pods/prepare', 'pods/exited-garbage']],
      ['2770', 'rkt', ['cas', 'cas/db', 'cas/tmp', 'cas/blob/sha512', 'cas/imageManifest/sha512']],
      ['2700', 'rkt', ['cas/tree', 'cas/treestorelocks']],
      ['2775', 'rkt-admin', ['../../../etc/rkt']],
    ] as const) {
      for (const directory of directories) {
        const where = path.join('var/lib/rkt', directory);
        assert.deepEqual(made(where), [mode, 0, groups.get(group)], where);
      }
    }
  });
});
