// Reading rules, errors of each kind, and merging (contract stage0 2.1-2.3, 11.12).

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { errorChain } from '@rkt/diagnostics/rkt-error';
import fc from 'fast-check';

import type { Config } from './config.ts';
import { resolveDataDir } from './data-dir.ts';
import { formatMirror } from './docker-mirrors.ts';
import { loadConfig } from './load.ts';

const V1 = { rktVersion: 'v1' };
const basic = (domain: string, user = 'u'): object => ({
  ...V1,
  rktKind: 'auth',
  domains: [domain],
  type: 'basic',
  credentials: { user, password: 'p' },
});
const oauth = (domains: string[], token: string): object => ({
  ...V1,
  rktKind: 'auth',
  domains,
  type: 'oauth',
  credentials: { token },
});
const paths = (fields: object): object => ({ ...V1, rktKind: 'paths', ...fields });
const stage1 = (fields: object): object => ({ ...V1, rktKind: 'stage1', ...fields });
const limits = (fields: object): object => ({ ...V1, rktKind: 'limits', ...fields });
const docker = (registries: string[], user = 'u'): object => ({
  ...V1,
  rktKind: 'dockerAuth',
  registries,
  credentials: { user, password: 'p' },
});

const mirrors = (registries: unknown, list: unknown): object => ({
  ...V1,
  rktKind: 'dockerMirrors',
  registries,
  mirrors: list,
});

describe('loadConfig', () => {
  let root = '';
  beforeEach(() => {
    root = mkdtempSync(path.join(os.tmpdir(), 'rkt-config-'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const put = (file: string, content: unknown): void => {
    const target = path.join(root, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, typeof content === 'string' ? content : JSON.stringify(content));
  };
  const load = (): Config =>
    loadConfig({
      systemConfig: path.join(root, 'system'),
      localConfig: path.join(root, 'local'),
      userConfig: path.join(root, 'user'),
    });
  const failure = (): string => {
    try {
      load();
    } catch (error) {
      return errorChain(error).at(-1)?.message ?? '';
    }
    return assert.fail('no error');
  };

  it('finds nothing where there is nothing', () => {
    const config = load();
    assert.equal(config.auth.size + config.dockerAuth.size, 0);
    assert.deepEqual(config.paths, { data: '', stage1Images: '' });
    assert.deepEqual(config.stage1, { name: '', version: '', location: '' });
  });

  it('lets a later directory win, domain by domain', () => {
    put('system/auth.d/a.json', oauth(['a.com', 'b.com'], 't1'));
    put('local/auth.d/z.json', basic('a.com'));
    put('user/auth.d/u.json', oauth(['b.com'], 't2'));
    assert.deepEqual(
      [...load().auth],
      [
        ['a.com', { type: 'basic', user: 'u', password: 'p' }],
        ['b.com', { type: 'oauth', token: 't2' }],
      ],
    );
  });

  it('merges paths by field and stage1 by what belongs together', () => {
    put('system/paths.d/p.json', paths({ data: '/d1', 'stage1-images': '/s1' }));
    put('user/paths.d/p.json', paths({ data: '/d2' }));
    put('local/stage1.d/s.json', stage1({ name: 'n', version: 'v', location: '/l1' }));
    put('user/stage1.d/s.json', stage1({ location: 'https://x/l2' }));
    const config = load();
    assert.deepEqual(config.paths, { data: '/d2', stage1Images: '/s1' });
    assert.deepEqual(config.stage1, { name: 'n', version: 'v', location: 'https://x/l2' });
    put('user/stage1.d/t.json', stage1({ name: 'm', version: 'w' }));
    assert.deepEqual(load().stage1, { name: 'm', version: 'w', location: 'https://x/l2' });
  });

  it('merges limits by field', () => {
    put('system/limits.d/l.json', limits({ 'max-image-size': '1Gi', 'max-image-ratio': 50 }));
    put('local/limits.d/l.json', limits({ 'max-image-size': 4096, 'max-image-memory': '256Mi' }));
    put('user/limits.d/l.json', limits({ 'max-image-entries': 7 }));
    assert.deepEqual(load().limits, {
      'max-image-size': 4096,
      'max-image-ratio': 50,
      'max-image-memory': 256 << 20,
      'max-image-entries': 7,
    });
  });
  it('reads mirrors, and gives them back as they are written', () => {
    const written = ['m.example.com', 'm:5000/a/b', 'http://127.0.0.1:5000', 'https://[::1]:5000/x/'];
    put('local/mirrors.d/a.json', mirrors(['quay.io', 'x.io'], written));
    put('user/mirrors.d/a.json', mirrors(['x.io'], []));
    const { dockerMirrors } = load();
    assert.deepEqual(dockerMirrors.get('quay.io')?.map(formatMirror), [
      'm.example.com',
      'm:5000/a/b',
      'http://127.0.0.1:5000',
      '[::1]:5000/x',
    ]);
    assert.deepEqual(dockerMirrors.get('quay.io')?.[1], { host: 'm:5000', prefix: 'a/b', scheme: 'https' });
    assert.deepEqual(dockerMirrors.get('x.io'), []);
  });

  it('reads registries of docker and aws credentials', () => {
    put('local/auth.d/d.json', docker(['quay.io', 'x.io']));
    put('user/auth.d/d.json', docker(['x.io'], 'v'));
    const credentials = { accessKeyID: 'k', secretAccessKey: 's', awsRegion: 'r' };
    put('user/auth.d/a.json', { ...V1, rktKind: 'auth', domains: ['s3'], type: 'aws', credentials });
    const config = load();
    assert.deepEqual(
      [...config.dockerAuth],
      [
        ['quay.io', { user: 'u', password: 'p' }],
        ['x.io', { user: 'v', password: 'p' }],
      ],
    );
    assert.deepEqual(config.auth.get('s3'), {
      type: 'aws',
      accessKeyId: 'k',
      secretAccessKey: 's',
      region: 'r',
    });
  });

  it('matches keys in any case, ignores unknown ones, takes the last of duplicates', () => {
    put(
      'local/paths.d/a.json',
      '{"RktKind":"paths","RKTVERSION":"v1","Data":"/a","data":"/b","x":[1],"stage1-images":null}',
    );
    assert.deepEqual(load().paths, { data: '/b', stage1Images: '' });
  });

  it('reads only regular files that end in .json, and no sub-directories', () => {
    put('local/paths.d/a.conf', 'nonsense');
    put('local/paths.d/sub/a.json', 'nonsense');
    put('local/other.d/a.json', 'nonsense');
    put('elsewhere.json', 'nonsense');
    symlinkSync(path.join(root, 'elsewhere.json'), path.join(root, 'local/paths.d/link.json'));
    assert.equal(load().paths.data, '');
  });

  const errors: readonly (readonly [file: string, content: unknown, message: RegExp])[] = [
    ['local/auth.d/a.json', '{', /a\.json/],
    ['local/auth.d/a.json', '\ufeff{}', /a\.json/],
    ['local/auth.d/a.json', [], /a\.json" is not an object$/],
    ['local/auth.d/a.json', { rktVersion: 'v1' }, /^no rktKind specified in ".*a\.json"$/],
    ['local/auth.d/a.json', { rktKind: 'auth' }, /^no rktVersion specified in ".*a\.json"$/],
    ['local/auth.d/a.json', { rktKind: 1 }, /"rktKind" is not a string$/],
    [
      'local/auth.d/a.json',
      paths({}),
      /auth\.d" takes kinds "auth", "dockerAuth", but ".*a\.json" is of kind "paths"$/,
    ],
    ['local/auth.d/a.json', { ...V1, rktKind: 'x' }, /^no parser available for configuration of kind "x"/],
    ['local/auth.d/a.json', { rktKind: 'auth', rktVersion: 'v2' }, /of kind "auth" and version "v2"/],
    [
      'local/auth.d/a.json',
      { ...V1, rktKind: 'auth' },
      /^failed to parse ".*a\.json": no domains specified$/,
    ],
    ['local/auth.d/a.json', { ...basic('d'), type: '' }, /: no auth type specified$/],
    ['local/auth.d/a.json', { ...basic('d'), type: 'x' }, /: unknown auth type: "x"$/],
    ['local/auth.d/a.json', { ...basic('d'), domains: 'd' }, /: "domains" is not a list$/],
    ['local/auth.d/a.json', { ...basic('d'), domains: [1] }, /: "domains" is not a list of strings$/],
    ['local/auth.d/a.json', { ...basic('d'), credentials: {} }, /: user not specified$/],
    ['local/auth.d/a.json', { ...basic('d'), credentials: { user: 'u' } }, /: password not specified$/],
    ['local/auth.d/a.json', { ...basic('d'), credentials: 'x' }, /: "credentials" is not an object$/],
    ['local/auth.d/a.json', oauth(['d'], ''), /: no oauth bearer token specified$/],
    ['local/auth.d/a.json', { ...basic('d'), type: 'aws' }, /: no AWS Access Key ID specified$/],
    [
      'local/auth.d/a.json',
      { ...basic('d'), type: 'aws', credentials: { accessKeyID: 'k' } },
      /: no AWS Secret Access Key specified$/,
    ],
    ['local/auth.d/a.json', docker([]), /: no registries specified$/],
    ['local/auth.d/a.json', { ...docker(['r']), credentials: {} }, /: user not specified$/],
    ['local/auth.d/a.json', docker(['r'], ''), /: user not specified$/],
    ['local/auth.d/a.json', { ...docker(['r']), credentials: { user: 'u' } }, /: password not specified$/],
    ['local/paths.d/a.json', paths({ data: 1 }), /: "data" is not a string$/],
    [
      'local/auth.d/a.json',
      docker(['r', 'r']),
      /: credentials for docker registry "r" are already specified$/,
    ],
    ['local/mirrors.d/a.json', mirrors([], ['m']), /: no registries specified$/],
    [
      'local/mirrors.d/a.json',
      mirrors(['r', 'r'], []),
      /: mirrors of docker registry "r" are already specified$/,
    ],
    ['local/mirrors.d/a.json', mirrors(['r'], 'm'), /: "mirrors" is not a list$/],
    ...['', '/x', 'ftp://m', 'u:p@m', 'm/../x', 'm/X', 'm?x', 'm:99999', 'm x'].map(
      (text) => ['local/mirrors.d/a.json', mirrors(['r'], [text]), /: bad mirror ".*", use \[http:/] as const,
    ),
    ['local/auth.d/a.json', mirrors(['r'], []), /auth\.d" takes kinds "auth", "dockerAuth"/],
    ['local/paths.d/a.json', paths({ data: 'x' }), /: data directory must be an absolute path$/],
    [
      'local/paths.d/a.json',
      paths({ 'stage1-images': 'x' }),
      /: stage1 images directory must be an absolute path$/,
    ],
    ...['', '-1', 'many', 0, -1, 1.5, 2 ** 60, [1], true].map(
      (value) =>
        [
          'local/limits.d/a.json',
          limits({ 'max-image-size': value }),
          /: "max-image-size" is not a positive whole number/,
        ] as const,
    ),
    ['local/stage1.d/a.json', stage1({ name: 'n' }), /: invalid stage1 configuration: .*version/],
    ['local/stage1.d/a.json', stage1({ version: 'v' }), /: invalid stage1 configuration: .*name/],
    [
      'local/stage1.d/a.json',
      stage1({ location: './x.aci' }),
      /: invalid stage1 configuration: default stage1 image location is either a relative path or a URL without scheme/,
    ],
    [
      'local/stage1.d/a.json',
      stage1({ location: 'example.com/x' }),
      /a relative path or a URL without scheme/,
    ],
    [
      'local/stage1.d/a.json',
      stage1({ location: 'ftp://x/y' }),
      /scheme "ftp", allowed are "file", "docker", "http", "https"$/,
    ],
  ];
  for (const [file, content, message] of errors) {
    it(`refuses ${JSON.stringify(content)}`, () => {
      put(file, content);
      assert.match(failure(), message);
    });
  }

  const good: readonly (readonly [directory: string, file: object])[] = [
    ['auth.d', basic('d')],
    ['auth.d', oauth(['d'], 't')],
    ['auth.d', { ...basic('d'), type: 'aws', credentials: { accessKeyID: 'k', secretAccessKey: 's' } }],
    ['auth.d', docker(['r'])],
    ['paths.d', paths({ data: '/d' })],
    ['stage1.d', stage1({ location: 'docker://x' })],
  ];
  for (const [directory, file] of good) {
    const { rktKind, type } = file as { readonly rktKind: string; readonly type?: string };
    it(`knows version v1 of ${[rktKind, type].filter(Boolean).join(' ')}, and no other`, () => {
      put(`local/${directory}/a.json`, file);
      load();
      for (const rktVersion of ['v2', 'v0', 'V1', '1', 'v1 ']) {
        put(`local/${directory}/a.json`, { ...file, rktVersion });
        assert.match(
          failure(),
          new RegExp(
            `^no parser available for configuration of kind "${rktKind}" and version "${rktVersion}"`,
          ),
        );
      }
    });
    it(`takes ${rktKind} from ${directory} only`, () => {
      for (const other of ['auth.d', 'paths.d', 'stage1.d'].filter((each) => each !== directory)) {
        put(`local/${other}/a.json`, file);
        assert.match(
          failure(),
          new RegExp(`${other}" takes kinds .*, but ".*a\\.json" is of kind "${rktKind}"$`),
        );
        rmSync(path.join(root, 'local', other), { recursive: true });
      }
    });
  }
  for (const location of ['/a.aci', 'file:///a.aci', 'docker://x', 'http://x/a.aci', 'https://x/a.aci']) {
    it(`takes a stage1 at ${location}`, () => {
      put('local/stage1.d/a.json', stage1({ location }));
      assert.equal(load().stage1.location, location);
    });
  }
  it('reads files in the order of their names', () => {
    put('local/auth.d/b.json', basic('b'));
    put('local/auth.d/a.json', basic('a'));
    put('local/auth.d/A.json', basic('c'));
    assert.deepEqual([...load().auth.keys()], ['c', 'a', 'b']);
  });
  it('refuses a docker registry twice in one directory, not in two', () => {
    put('local/auth.d/a.json', docker(['r']));
    put('user/auth.d/a.json', docker(['r'], 'v'));
    assert.equal(load().dockerAuth.get('r')?.user, 'v');
    put('user/auth.d/b.json', docker(['r']));
    assert.match(failure(), /b\.json": credentials for docker registry "r" are already specified$/);
  });
  it('refuses the same thing twice in one directory', () => {
    put('local/auth.d/a.json', basic('a.com'));
    put('local/auth.d/b.json', oauth(['a.com'], 't'));
    assert.match(failure(), /b\.json": auth for domain "a\.com" is already specified$/);
  });
  it('refuses a path twice in one directory', () => {
    put('local/paths.d/a.json', paths({ data: '/a' }));
    put('local/paths.d/b.json', paths({ data: '/b' }));
    assert.match(failure(), /b\.json": data directory is already specified$/);
  });
  it('refuses a stage1 twice in one directory', () => {
    put('local/stage1.d/a.json', stage1({ location: '/a' }));
    put('local/stage1.d/b.json', stage1({ location: '/b' }));
    assert.match(failure(), /location is already specified$/);
  });
  it('refuses a limit twice in one directory', () => {
    put('local/limits.d/a.json', limits({ 'max-image-ratio': 1 }));
    put('local/limits.d/b.json', limits({ 'max-image-ratio': 1 }));
    assert.match(failure(), /b\.json": max-image-ratio is already specified$/);
  });
  it('refuses a file where a directory should be', () => {
    put('local/auth.d', 'x');
    assert.match(failure(), /^expected ".*local\/auth\.d" to be a directory$/);
    rmSync(path.join(root, 'local'), { recursive: true });
    put('local', 'x');
    assert.match(failure(), /^expected ".*local" to be a directory$/);
  });
  it('fails with a typed error or not at all', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        put('local/stage1.d/a.json', text);
        try {
          load();
        } catch (error) {
          assert.equal(typeof (error as { code?: unknown }).code, 'string');
        }
      }),
    );
  });

  describe('resolveDataDir', () => {
    const flags = (dir?: string): Parameters<typeof resolveDataDir>[0] => ({
      debug: false,
      systemConfig: path.join(root, 'system'),
      localConfig: path.join(root, 'local'),
      trustKeysFromHttps: false,
      insecure: {
        image: false,
        tls: false,
        onDisk: false,
        http: false,
        pubkey: false,
        capabilities: false,
        paths: false,
        seccomp: false,
      },
      ...(dir === undefined ? {} : { dir }),
    });
    it('prefers the flag, then the configuration', async () => {
      put('local/paths.d/a.json', paths({ data: path.join(root, 'configured') }));
      assert.equal(await resolveDataDir(flags()), path.join(root, 'configured'));
      assert.equal(await resolveDataDir(flags('/nowhere/x')), '/nowhere/x');
    });
    it('resolves symlinks of what exists', async () => {
      mkdirSync(path.join(root, 'real'));
      symlinkSync('real', path.join(root, 'link'));
      assert.equal(await resolveDataDir(flags(path.join(root, 'link'))), path.join(root, 'real'));
    });
    it('says that configuration was the problem', async () => {
      put('local/paths.d/a.json', 'x');
      await assert.rejects(resolveDataDir(flags()), { message: 'cannot get configuration' });
    });
  });
});
