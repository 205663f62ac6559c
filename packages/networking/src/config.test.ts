import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { forwardsPorts, loadNetworks, masquerades, parseNetwork, versionAtLeast } from './config.ts';

describe('network configurations', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rkt-net-'));
    mkdirSync(join(directory, 'user'));
    mkdirSync(join(directory, 'built-in'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (file: string, content: unknown): void =>
    writeFileSync(join(directory, file), typeof content === 'string' ? content : JSON.stringify(content));
  const load = (...names: string[]): { names: string[]; warnings: string[] } => {
    const warnings: string[] = [];
    const selection = {
      kind: 'networks' as const,
      all: names.includes('all'),
      args: new Map(names.filter((name) => name !== 'all').map((name) => [name, ''])),
    };
    const directories = { builtIn: join(directory, 'built-in'), user: join(directory, 'user') };
    const found = loadNetworks(directories, selection, (line) =>
      warnings.push(line.replaceAll(directory, 'DIR')),
    );
    return { names: found.map(({ name, base }) => `${name} of ${base}`), warnings };
  };

  it('are ordered by the names of their files, across both directories', () => {
    write('built-in/99-default.conf', { name: 'default', type: 'ptp' });
    write('user/10-b.conf', { name: 'b', type: 'bridge' });
    write('user/20-a.conf', { name: 'a', type: 'bridge' });
    assert.deepEqual(load('a', 'default', 'b').names, [
      'b of 10-b.conf',
      'a of 20-a.conf',
      'default of 99-default.conf',
    ]);
    assert.deepEqual(load('all').names.length, 3);
    assert.deepEqual(load('a').names, ['a of 20-a.conf']);
  });

  it("of people take the place of stage1's own by name, and say so", () => {
    write('built-in/99-default.conf', { name: 'default', type: 'ptp' });
    write('user/10-mine.conf', { name: 'default', type: 'bridge' });
    assert.deepEqual(load('default'), {
      names: ['default of 10-mine.conf'],
      warnings: ['overriding "default" network with one from DIR/user'],
    });
  });

  it('of one name in one directory: the first counts', () => {
    write('user/10-a.conf', { name: 'a', type: 'bridge' });
    write('user/20-a.conf', { name: 'a', type: 'ptp' });
    assert.deepEqual(load('a'), {
      names: ['a of 10-a.conf'],
      warnings: ['"a" network already defined, ignoring 20-a.conf'],
    });
  });

  it('are files that end in .conf or .conflist', () => {
    write('user/a.json', { name: 'a', type: 'bridge' });
    write('user/b.conf.bak', 'not even JSON');
    mkdirSync(join(directory, 'user/c.conf'));
    write('user/d.conflist', {
      name: 'd',
      cniVersion: '1.0.0',
      plugins: [{ type: 'ptp' }, { type: 'portmap' }],
    });
    assert.deepEqual(load('all').names, ['d of d.conflist']);
  });

  it('that nobody wants must be right all the same', () => {
    write('user/10-a.conf', { name: 'a', type: 'bridge' });
    write('user/20-bad.conf', '{');
    assert.throws(() => load('a'), /error loading .*\/user\/20-bad\.conf: not JSON/);
  });

  it('that are missing are named, all of them', () => {
    assert.throws(() => load('a', 'b'), { code: 'network-not-found', message: 'networks not found: a, b' });
  });

  it('may have keys in any case', () => {
    const network = parseNetwork('x.conf', '{"Name":"x","Type":"bridge","CNIVersion":"0.3.1","IpMasq":true}');
    assert.deepEqual([network.name, network.plugins[0]?.type, network.cniVersion], ['x', 'bridge', '0.3.1']);
    assert.equal(masquerades(network), true);
  });

  for (const [what, text, message] of [
    ['no object', '[]', 'not a JSON object'],
    ['no name', '{"type":"ptp"}', 'no "name"'],
    ['a name that is a path', '{"name":"../x","type":"ptp"}', '"../x" is not a network name'],
    ['no type', '{"name":"x"}', 'no "type" of plugin'],
    ['a type that is a path', '{"name":"x","type":"../ptp"}', '"../ptp" is not the name of a plugin'],
  ] as const) {
    it(`with ${what} are refused`, () => {
      assert.throws(() => parseNetwork('x.conf', text), { code: 'bad-network-config', message });
    });
  }

  it('never fail otherwise, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), fc.constantFrom('x.conf', 'x.conflist'), (text, base) => {
        try {
          assert.notEqual(parseNetwork(base, text).name, '');
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'bad-network-config');
        }
      }),
    );
  });

  it('of lists say whether a plugin forwards ports', () => {
    const list = (capabilities: unknown): boolean =>
      forwardsPorts(
        parseNetwork(
          'x.conflist',
          JSON.stringify({ name: 'x', plugins: [{ type: 'ptp' }, { type: 'portmap', capabilities }] }),
        ),
      );
    assert.equal(list({ portMappings: true }), true);
    assert.equal(list({ portMappings: false }), false);
    assert.equal(list(undefined), false);
  });

  it('compare versions by number', () => {
    assert.equal(versionAtLeast('0.4.0', '0.4.0'), true);
    assert.equal(versionAtLeast('0.3.1', '0.4.0'), false);
    assert.equal(versionAtLeast('1.0.0', '0.4.0'), true);
    assert.equal(versionAtLeast('0.10.0', '0.4.0'), true);
  });
});
