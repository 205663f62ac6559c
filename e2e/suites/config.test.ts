// Configuration files, their merge, and `rkt config` (contract stage0 2).

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';

import { MNT_DETACH } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { TempDir } from '@rkt/testkit/tmp';

import { requires } from '../lib/requires.ts';
import { bareRkt, expectStatus, FAILURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

interface Entry {
  readonly rktKind: string;
  readonly [field: string]: unknown;
}

const auth = (type: string, domains: readonly string[], credentials: object): object => ({
  rktVersion: 'v1',
  rktKind: 'auth',
  domains,
  type,
  credentials,
});
const paths = (fields: object): object => ({ rktVersion: 'v1', rktKind: 'paths', ...fields });
const stage1 = (fields: object): object => ({ rktVersion: 'v1', rktKind: 'stage1', ...fields });

suite('configuration', [], () => {
  let rkt: Rkt;
  beforeEach(() => {
    rkt = new Rkt('config');
  });
  afterEach(() => rkt.tmp.remove());

  const entries = async (kind: string): Promise<Entry[]> => {
    const { stdout, stderr } = await rkt.ok(['config']);
    assert.equal(stderr, '');
    const document = JSON.parse(stdout) as { stage0: Entry[] };
    assert.deepEqual(Object.keys(document), ['stage0']);
    return document.stage0.filter(({ rktKind }) => rktKind === kind);
  };

  it('is shown empty where there is none', async () => {
    const { stdout } = await rkt.ok(['config', '--pretty-print=false']);
    assert.equal(
      stdout,
      '{"stage0":[{"rktVersion":"v1","rktKind":"paths","data":"","stage1-images":""},' +
        '{"rktVersion":"v1","rktKind":"stage1","name":"","version":"","location":""}]}\n',
    );
    const pretty = await rkt.ok(['config']);
    assert.match(pretty.stdout, /^\{\n\t"stage0": \[\n\t\t\{\n\t\t\t"rktVersion": "v1"/);
  });

  it('is merged by domain, by field, by name with version; later directories win', async () => {
    rkt.configure('systemConfig', 'auth.d/a.json', auth('oauth', ['a.com', 'b.com'], { token: 't1' }));
    rkt.configure('localConfig', 'auth.d/z.json', auth('basic', ['a.com'], { user: 'u', password: 'p' }));
    rkt.configure('userConfig', 'auth.d/u.json', auth('oauth', ['b.com'], { token: 't2' }));
    const found = new Map((await entries('auth')).map((entry) => [String(entry['domains']), entry]));
    assert.deepEqual(found.get('a.com')?.['credentials'], { user: 'u', password: 'p' });
    assert.deepEqual(found.get('b.com')?.['credentials'], { token: 't2' });
    assert.equal(found.size, 2);

    rkt.configure('systemConfig', 'paths.d/p.json', paths({ data: '/d1', 'stage1-images': '/s1' }));
    rkt.configure('userConfig', 'paths.d/p.json', paths({ data: '/d2' }));
    const [path] = await entries('paths');
    assert.deepEqual([path?.['data'], path?.['stage1-images']], ['/d2', '/s1']);

    rkt.configure(
      'localConfig',
      'stage1.d/s.json',
      stage1({ name: 'example.com/n', version: '1.2.3', location: '/l1.aci' }),
    );
    rkt.configure('userConfig', 'stage1.d/s.json', stage1({ location: 'https://example.com/l2.aci' }));
    const [chosen] = await entries('stage1');
    assert.deepEqual(
      [chosen?.['name'], chosen?.['version'], chosen?.['location']],
      ['example.com/n', '1.2.3', 'https://example.com/l2.aci'],
    );
  });

  it('shows docker credentials per registry', async () => {
    const credentials = { user: 'u', password: 'p<&>' };
    rkt.configure('localConfig', 'auth.d/d.json', {
      rktVersion: 'v1',
      rktKind: 'dockerAuth',
      registries: ['registry-1.docker.io', 'quay.io'],
      credentials,
    });
    const found = await entries('dockerAuth');
    assert.deepEqual(found.map((entry) => String(entry['registries'])).toSorted(), [
      'quay.io',
      'registry-1.docker.io',
    ]);
    assert.deepEqual(found[0]?.['credentials'], credentials);
    assert.ok((await rkt.ok(['config'])).stdout.includes(String.raw`p\u003c\u0026\u003e`));
  });

  it('shows aws credentials with their region', async () => {
    const credentials = { accessKeyID: 'k', secretAccessKey: 's', awsRegion: '' };
    rkt.configure('localConfig', 'auth.d/a.json', auth('aws', ['s3.example.com:443'], credentials));
    assert.deepEqual(await entries('auth'), [
      {
        rktVersion: 'v1',
        rktKind: 'auth',
        domains: ['s3.example.com:443'],
        type: 'aws',
        credentials,
      },
    ]);
  });

  it('is shown to any user', async function () {
    requires(this, 'root');
    const flags = ['--local-config=/nonexistent/l', '--system-config=/nonexistent/s'];
    const nobody = { uid: 65_534, gid: 65_534 };
    const result = expectStatus(await bareRkt([...flags, 'config'], nobody), 0);
    assert.equal(result.stderr, '');
  });

  describe('by default', () => {
    let tmp: TempDir;
    const covered = ['/etc', '/usr/lib'];
    before(function () {
      requires(this, 'root', 'overlayfs');
      tmp = new TempDir('config-default');
      openKernel().mount('tmpfs', tmp.path, 'tmpfs', 0, null);
      for (const directory of covered) {
        const [upper, work] = ['upper', 'work'].map((name) => tmp.join(`${directory.slice(1)}/${name}`));
        for (const each of [upper, work]) mkdirSync(each ?? '', { recursive: true });
        const options = `lowerdir=${directory},upperdir=${upper},workdir=${work}`;
        openKernel().mount('overlay', directory, 'overlay', 0, options);
        mkdirSync(`${directory}/rkt/paths.d`, { recursive: true });
      }
    });
    after(() => {
      for (const directory of [...covered, tmp.path]) openKernel().umount2(directory, MNT_DETACH);
      tmp.remove();
    });

    it('comes from /usr/lib/rkt and /etc/rkt, and from no user', async () => {
      writeFileSync(
        '/usr/lib/rkt/paths.d/a.json',
        JSON.stringify(paths({ data: '/s', 'stage1-images': '/i' })),
      );
      writeFileSync('/etc/rkt/paths.d/a.json', JSON.stringify(paths({ data: '/l' })));
      rkt.configure('userConfig', 'paths.d/a.json', paths({ data: '/u' }));
      const shown = async (...flags: readonly string[]): Promise<unknown> => {
        const { stdout } = expectStatus(await bareRkt([...flags, 'config']), 0);
        const { stage0 } = JSON.parse(stdout) as { stage0: Entry[] };
        const found = stage0.find(({ rktKind }) => rktKind === 'paths');
        return [found?.['data'], found?.['stage1-images']];
      };
      assert.deepEqual(await shown(), ['/l', '/i']);
      assert.deepEqual(await shown(`--user-config=${rkt.userConfig}`), ['/u', '/i']);
      assert.deepEqual(await shown(`--local-config=${rkt.localConfig}`), ['/s', '/i']);
    });
  });

  it('is read from regular .json files of its three directories only', async () => {
    const file = JSON.stringify(auth('oauth', ['x.com'], { token: 't' }));
    rkt.configure('localConfig', 'auth.d/note.txt', file);
    rkt.configure('localConfig', 'auth.d/sub/x.json', file);
    rkt.configure('localConfig', 'other.d/x.json', file);
    writeFileSync(rkt.tmp.join('real.json'), file);
    symlinkSync(rkt.tmp.join('real.json'), `${rkt.localConfig}/auth.d/link.json`);
    assert.deepEqual(await entries('auth'), []);
  });

  it('names the data directory unless --dir does', async () => {
    const data = rkt.tmp.join('elsewhere');
    mkdirSync(data);
    rkt.configure('localConfig', 'paths.d/p.json', paths({ data }));
    const flags = rkt.directoryFlags.filter((flag) => !flag.startsWith('--dir='));
    expectStatus(await bareRkt([...flags, 'image', 'list']), 0);
    assert.ok(existsSync(`${data}/cas`));
    await rkt.ok(['image', 'list']);
    assert.ok(existsSync(`${rkt.data}/cas`));
  });

  const bad: readonly (readonly [string, string, unknown, string | RegExp])[] = [
    ['no JSON', 'auth.d/a.json', '{', /a\.json/],
    ['no kind', 'auth.d/a.json', { rktVersion: 'v1' }, 'no rktKind specified in "'],
    ['no version', 'auth.d/a.json', { rktKind: 'auth' }, 'no rktVersion specified in "'],
    [
      'an unknown version',
      'auth.d/a.json',
      { ...auth('oauth', ['a'], { token: 't' }), rktVersion: 'v2' },
      'and version "v2"',
    ],
    ['a kind of another directory', 'auth.d/a.json', paths({ data: '/x' }), /auth\.d.*dockerAuth.*paths/s],
    ['no domains', 'auth.d/a.json', auth('oauth', [], { token: 't' }), 'no domains specified'],
    ['no auth type', 'auth.d/a.json', { ...auth('x', ['a'], {}), type: undefined }, 'no auth type specified'],
    ['an unknown auth type', 'auth.d/a.json', auth('kerberos', ['a'], {}), 'unknown auth type: "kerberos"'],
    ['no user', 'auth.d/a.json', auth('basic', ['a'], { password: 'p' }), 'user not specified'],
    ['no password', 'auth.d/a.json', auth('basic', ['a'], { user: 'u' }), 'password not specified'],
    ['no token', 'auth.d/a.json', auth('oauth', ['a'], {}), 'no oauth bearer token specified'],
    ['a wrong type', 'auth.d/a.json', { ...auth('oauth', ['a'], { token: 't' }), domains: 'a' }, /a\.json/],
    [
      'a relative data directory',
      'paths.d/p.json',
      paths({ data: 'x' }),
      'data directory must be an absolute path',
    ],
    [
      'a relative images directory',
      'paths.d/p.json',
      paths({ 'stage1-images': './x' }),
      'stage1 images directory must be an absolute path',
    ],
    [
      'a relative stage1 location',
      'stage1.d/s.json',
      stage1({ location: 'image.aci' }),
      'default stage1 image location is either a relative path or a URL without scheme',
    ],
    [
      'a stage1 location of an unknown scheme',
      'stage1.d/s.json',
      stage1({ location: 'ftp://x/y.aci' }),
      /docker.*http|http.*docker/s,
    ],
    ['a stage1 name without version', 'stage1.d/s.json', stage1({ name: 'example.com/n' }), /version/],
    ['a stage1 version without name', 'stage1.d/s.json', stage1({ version: '1.0.0' }), /name/],
  ];
  for (const [what, name, content, message] of bad) {
    it(`is refused with ${what}`, async () => {
      rkt.configure('localConfig', name, content);
      const result = expectStatus(await rkt.run(['--debug', 'config']), FAILURE);
      assert.equal(result.stdout, '');
      assert.ok(
        typeof message === 'string' ? result.stderr.includes(message) : message.test(result.stderr),
        result.stderr,
      );
    });
  }

  it('is refused with a domain given twice in one directory, not in two', async () => {
    const file = auth('oauth', ['a.com'], { token: 't' });
    rkt.configure('localConfig', 'auth.d/1.json', file);
    rkt.configure('userConfig', 'auth.d/1.json', file);
    await rkt.ok(['config']);
    rkt.configure('localConfig', 'auth.d/2.json', file);
    await rkt.fails(['config', '--debug'], 'auth for domain "a.com" is already specified');
  });

  it('must be in directories', async () => {
    writeFileSync(`${rkt.localConfig}/auth.d`, '');
    await rkt.fails(['config', '--debug'], /expected ".*auth\.d" to be a directory/);
  });

  it('may be missing altogether', async () => {
    const flags = [
      '--local-config=/nonexistent/l',
      '--system-config=/nonexistent/s',
      '--user-config=/nonexistent/u',
    ];
    expectStatus(await bareRkt([`--dir=${rkt.data}`, ...flags, 'config']), 0);
    expectStatus(await bareRkt([`--dir=${rkt.data}`, ...flags, 'image', 'list']), 0);
  });

  it('matches keys without regard to case, the last one wins, unknown ones are ignored', async () => {
    rkt.configure(
      'localConfig',
      'paths.d/p.json',
      '{"RKTKIND":"paths","rktversion":"v1","DATA":"/a","data":"/b","extra":{"x":1}}',
    );
    assert.equal((await entries('paths'))[0]?.['data'], '/b');
  });
});
