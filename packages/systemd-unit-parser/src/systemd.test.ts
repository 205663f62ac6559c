// systemd itself as the judge: its own unit files, systemd-escape, and `systemd-analyze verify`.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { quoteCommandLine, splitCommandLine } from './command-line.ts';
import { deserialize } from './deserialize.ts';
import { unitText } from './deserialize.test.ts';
import { escapeUnitName, escapeUnitPath, unescapeUnitName, unescapeUnitPath } from './escape.ts';
import { serialize, serializeOptions } from './serialize.ts';
import { option, optionsOf, unitFromOptions, values } from './unit.ts';

const UNIT_DIRECTORIES = ['/usr/lib/systemd/system', '/usr/lib/systemd/user', '/lib/systemd/network'];

function unitFiles(): string[] {
  return UNIT_DIRECTORIES.flatMap((directory) => {
    try {
      return readdirSync(directory, { withFileTypes: true, recursive: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
    } catch {
      return [];
    }
  });
}

function installed(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

describe("systemd's own unit files", () => {
  const files = unitFiles();
  before(function () {
    if (files.length === 0) this.skip();
  });

  it('come back byte for byte', () => {
    for (const file of files) {
      const text = readFileSync(file, 'latin1');
      assert.equal(serialize(deserialize(text)), text, file);
    }
  });
  it('keep every option in canonical form', () => {
    for (const file of files) {
      const grouped = optionsOf(unitFromOptions(optionsOf(deserialize(readFileSync(file, 'utf8')))));
      assert.deepEqual(optionsOf(deserialize(serializeOptions(grouped))), grouped, file);
    }
  });
  it('have commands that split', () => {
    for (const file of files) {
      for (const line of values(deserialize(readFileSync(file, 'utf8')), 'Service', 'ExecStart')) {
        assert.notEqual(splitCommandLine(line).length, 0, `${file}: ${line}`);
      }
    }
  });
});

describe('systemd-escape', () => {
  const run = (args: readonly string[]): { status: number | null; lines: string[] } => {
    const { status, stdout } = spawnSync('systemd-escape', args, { encoding: 'utf8' });
    return { status, lines: stdout.slice(0, -1).split(' ') };
  };
  before(function () {
    if (!installed('systemd-escape')) this.skip();
  });

  // The program prints its results in one line, joined by spaces, which escaped names never hold.
  const text = fc.string({ minLength: 1, unit: 'binary' }).map((each) => each.replaceAll('\0', '-'));
  it('agrees on names', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 30, maxLength: 30 }), (names) => {
        const wellFormed = names.map((name) => name.toWellFormed());
        assert.deepEqual(run(['--', ...wellFormed]).lines, wellFormed.map(escapeUnitName));
      }),
      { numRuns: runs(10) },
    );
  });
  it('agrees on paths', () => {
    const piece = fc.constantFrom('/', '.', '..', 'a', '-', '//', '/./', 'b c', '\\', '.x', '@');
    const paths = fc.sample(
      fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`),
      60,
    );
    for (const path of paths) {
      const { status, lines } = run(['--path', '--', path]);
      if (status === 0) assert.equal(escapeUnitPath(path), lines[0], path);
      else assert.throws(() => escapeUnitPath(path), path);
    }
  });
  it('agrees on unescaping', () => {
    const piece = fc.constantFrom('-', 'a', '\\x2d', '\\x2e', '\\xc3\\xa4', '\\', '.', '\\x2', 'x');
    for (const name of fc.sample(
      fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join('')),
      60,
    )) {
      const plain = run(['--unescape', '--', name]);
      if (plain.status === 0) assert.equal(unescapeUnitName(name), plain.lines[0], name);
      else assert.throws(() => unescapeUnitName(name), name);
      const path = run(['--unescape', '--path', '--', name]);
      if (path.status === 0) assert.equal(unescapeUnitPath(name), path.lines[0], name);
      else assert.throws(() => unescapeUnitPath(name), name);
    }
  });
});

describe('systemd-analyze verify', () => {
  let directory = '';
  const verify = (text: string): { status: number | null; lines: string[] } => {
    const path = join(directory, 'test.service');
    writeFileSync(path, text);
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
      encoding: 'utf8',
    });
    return { status, lines: stderr.split('\n').filter((line) => line !== '') };
  };
  before(function () {
    if (!installed('systemd-analyze')) this.skip();
    directory = mkdtempSync(join(tmpdir(), 'rkt-unit-'));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('accepts a built unit without a word', () => {
    const { status, lines } = verify(
      serializeOptions([
        option('Unit', 'Description', 'Application=web Image=example.com/web'),
        option('Unit', 'DefaultDependencies', 'false'),
        option('Service', 'Type', 'oneshot'),
        option('Service', 'ExecStart', quoteCommandLine(['/bin/sh', '-c', 'a "b" $X 50% \\ \n\t\x01 é ☃'])),
        option('Service', 'SystemCallFilter', 'accept'),
        option('Service', 'SystemCallFilter', 'accept4'),
      ]),
    );
    assert.deepEqual(lines, []);
    assert.equal(status, 0);
  });

  it('finds the program behind every spelling', () => {
    for (const name of ['/nonexistent/a b', '/nonexistent/$X', '/nonexistent/é%', '/nonexistent/50%o']) {
      const { lines } = verify(
        serializeOptions([
          option('Service', 'Type', 'oneshot'),
          option('Service', 'ExecStart', quoteCommandLine([name, 'x'], { escapeProgram: true })),
        ]),
      );
      assert.deepEqual(lines, [`test.service: Command ${name} is not executable: No such file or directory`]);
    }
  });

  it('sees the same sections, names and malformed lines in any text', () => {
    for (const sample of fc.sample(unitText, 80)) {
      // Unknown names and malformed lines are what verify reports.
      const text = `[Unit]\nFirst=1\n${sample.replaceAll('Description=', 'Dexcription=').toWellFormed()}`;
      const unit = deserialize(text, { onProblem: () => undefined });
      const known = unit.sections.filter(({ name }) => ['Unit', 'Service', 'Install'].includes(name));
      const statements = known.flatMap((section) =>
        section.nodes.flatMap((node) => {
          if (node.kind === 'ignored') return ['malformed'];
          return node.kind === 'entry' && !node.name.startsWith('X-') ? [`${section.name} ${node.name}`] : [];
        }),
      );
      const reports = verify(text).lines.flatMap((line) => /\.service:\d+: (.*)/.exec(line)?.[1] ?? []);
      // A broken section header ends systemd's reading of the whole file.
      if (reports.some((report) => report.startsWith('Invalid section header'))) continue;
      const seen = reports.flatMap((report) => {
        if (report.startsWith('Missing')) return ['malformed'];
        const [, name, section] = /^Unknown key '(.*)' in section \[(.*)\]/s.exec(report) ?? [];
        return name === undefined ? [] : [`${section} ${name}`];
      });
      assert.deepEqual(seen, statements, JSON.stringify(text));
    }
  });
});
