// Escapes out of a tree by every kind of name, and name resolution against GNU readlink in a chroot.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { O_CREAT, O_DIRECTORY, O_EXCL, O_PATH, O_RDONLY, O_WRONLY } from './constants.ts';
import {
  mkdirAllInRoot,
  openBeneath,
  openDirectoryInRoot,
  openInRoot,
  openRoot,
  procFdPath,
  readFileInRoot,
  resolveInRoot,
  resolveInRootFd,
} from './safe-path.ts';

describe('safe path', () => {
  let outer = '';
  let root = '';
  let rootFd = -1;

  beforeEach(() => {
    outer = realpathSync(mkdtempSync(join(tmpdir(), 'rkt-safe-')));
    root = join(outer, 'root');
    mkdirSync(join(root, 'etc'), { recursive: true });
    writeFileSync(join(root, 'etc/passwd'), 'inside');
    writeFileSync(join(outer, 'secret'), 'outside');
    rootFd = openRoot(root);
  });
  afterEach(() => {
    closeSync(rootFd);
    rmSync(outer, { recursive: true });
  });

  const link = (target: string, name: string): void => symlinkSync(target, join(root, name));
  const read = (path: string): string => readFileInRoot(rootFd, path, 1024).toString();

  describe('openInRoot', () => {
    it('takes absolute names and links as inside', () => {
      link('/etc/passwd', 'absolute');
      link('../../../../../etc/passwd', 'dots');
      link('/etc', 'directory');
      const names = [
        '/etc/passwd',
        'etc/passwd',
        '../../etc/passwd',
        'absolute',
        'dots',
        'directory/../etc/passwd',
      ];
      for (const name of names) assert.equal(read(name), 'inside', name);
    });
    it('never finds what is outside', () => {
      link('../secret', 'up');
      link(join(outer, 'secret'), 'full');
      for (const name of ['up', 'full', '../secret', join(outer, 'secret'), 'etc/../../secret']) {
        assert.throws(() => read(name), { code: 'ENOENT' }, name);
      }
    });
    it('creates behind a link inside only', () => {
      link(`${outer}/new`, 'out');
      mkdirSync(join(root, outer), { recursive: true });
      closeSync(openInRoot(rootFd, 'out', O_WRONLY | O_CREAT, 0o600));
      assert.ok(existsSync(join(root, outer, 'new')));
      assert.ok(!existsSync(join(outer, 'new')));
    });
    it('gives up on a loop', () => {
      link('loop', 'loop');
      assert.throws(() => read('loop'), { code: 'ELOOP' });
    });
  });

  describe('openBeneath', () => {
    const refuse = (name: string, code: string, noSymlinks = false): void => {
      assert.throws(() => openBeneath(rootFd, name, O_RDONLY, 0, { noSymlinks }), { code }, name);
    };
    it('refuses whatever leaves', () => {
      link('/etc', 'absolute');
      link('..', 'up');
      for (const name of [
        '..',
        '../secret',
        '/etc/passwd',
        'absolute/passwd',
        'up/secret',
        'etc/../../secret',
      ]) {
        refuse(name, 'EXDEV');
      }
    });
    it('follows links that stay, unless told not to', () => {
      link('etc', 'alias');
      closeSync(openBeneath(rootFd, 'alias/passwd', O_RDONLY));
      refuse('alias/passwd', 'ELOOP', true);
    });
    it('creates new files only where asked', () => {
      closeSync(openBeneath(rootFd, 'etc/new', O_WRONLY | O_CREAT | O_EXCL, 0o640));
      assert.equal(lstatSync(join(root, 'etc/new')).mode & 0o777, 0o640);
      link('/nowhere', 'dangling');
      assert.throws(() => openBeneath(rootFd, 'dangling', O_WRONLY | O_CREAT | O_EXCL, 0o640), {
        code: 'EEXIST',
      });
    });
  });

  it('names an open file', () => {
    assert.equal(readlinkSync(procFdPath(rootFd)), root);
  });

  describe('resolveInRoot', () => {
    it('resolves the cases of the contract', () => {
      mkdirSync(join(root, 'dir1'));
      mkdirSync(join(root, 'dir2'));
      link('/dir2', 'dir1/link_abs_dir2');
      link('../dir2', 'dir1/link_rel_dir2');
      link('/../dir2', 'dir1/link_abs_dotdot');
      link('/not/there', 'dir1/link_missing');
      link('/', 'dir1/link_root');
      link('../../../../../../../dir2', 'dir1/link_rel_far');
      const cases = {
        '/dir1/link_abs_dir2/foo': '/dir2/foo',
        '/dir1/link_rel_dir2/bar': '/dir2/bar',
        '/dir1/../dir1/.//link_rel_dir2/foo': '/dir2/foo',
        '/dir1/../../../foo': '/foo',
        'dir1/link_abs_dotdot/x': '/dir2/x',
        '/dir1/link_missing/new/sub': '/not/there/new/sub',
        '/dir1/link_root/etc': '/etc',
        '/dir1/link_rel_far/y': '/dir2/y',
        '/': '/',
        '': '/',
        '/etc/passwd/below/a/file': '/etc/passwd/below/a/file',
      };
      for (const [path, expected] of Object.entries(cases))
        assert.equal(resolveInRoot(root, path), expected, path);
      assert.equal(resolveInRootFd(rootFd, '/dir1/link_root'), '/');
    });
    it('allows 255 links and no more', () => {
      link('/etc', 'l0');
      for (let count = 1; count <= 255; count += 1) link(`l${count - 1}`, `l${count}`);
      assert.equal(resolveInRoot(root, 'l254'), '/etc');
      assert.throws(() => resolveInRoot(root, 'l255'), {
        code: 'too-many-links',
        message: 'more than 255 symbolic links in path l255',
      });
      link('loop', 'loop');
      assert.throws(() => resolveInRoot(root, 'loop'), { code: 'too-many-links' });
    });
    it('refuses a target that text cannot hold', () => {
      symlinkSync(Buffer.from('caf\xe9', 'latin1'), join(root, 'latin1'));
      assert.throws(() => resolveInRoot(root, 'latin1'), { code: 'name-not-utf8' });
    });
  });

  describe('mkdirAllInRoot', () => {
    it('makes what is missing, also behind links', () => {
      link('/a/b', 'l');
      mkdirAllInRoot(rootFd, '/l/c/../d', 0o711);
      mkdirAllInRoot(rootFd, '/l/c/../d', 0o700);
      mkdirAllInRoot(rootFd, '', 0o700);
      assert.deepEqual((readdirSync(root, { recursive: true }) as string[]).sort(), [
        'a',
        'a/b',
        'a/b/d',
        'etc',
        'etc/passwd',
        'l',
      ]);
      assert.equal(lstatSync(join(root, 'a/b/d')).mode & 0o777, 0o711);
    });
    it('stays inside', () => {
      link(`${outer}/evil`, 'out');
      link('../../../evil', 'up');
      mkdirAllInRoot(rootFd, 'out/x', 0o755);
      mkdirAllInRoot(rootFd, 'up/../../../../y', 0o755);
      assert.deepEqual(readdirSync(outer).sort(), ['root', 'secret']);
    });
    it('refuses a component that is a file', () => {
      assert.throws(() => mkdirAllInRoot(rootFd, 'etc/passwd/x', 0o755), { code: 'ENOTDIR' });
    });
    it('gives the directory on request', () => {
      const fd = openDirectoryInRoot(rootFd, 'new/one', 0o755);
      assert.equal(readlinkSync(procFdPath(fd)), join(root, 'new/one'));
      closeSync(fd);
    });
  });

  describe('readFileInRoot', () => {
    it('waits for no fifo, reads no device and no more than allowed', () => {
      execFileSync('mkfifo', [join(root, 'fifo')]);
      assert.throws(() => read('fifo'), { code: 'not-a-regular-file' });
      assert.throws(() => read('etc'), { code: 'not-a-regular-file' });
      writeFileSync(join(root, 'big'), Buffer.alloc(1025));
      assert.throws(() => read('big'), { code: 'file-too-large', message: 'big is larger than 1024 bytes' });
    });
  });

  describe('against GNU readlink in a chroot (property)', function () {
    this.timeout(60_000);
    const oracle = '/.oracle';

    before(function () {
      if (process.getuid?.() !== 0) this.skip();
      if (!/coreutils/.test(spawnSync('readlink', ['--version'], { encoding: 'utf8' }).stdout ?? ''))
        this.skip();
    });

    const installOracle = (): void => {
      mkdirSync(root + oracle);
      const program = realpathSync('/usr/bin/readlink');
      const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? [];
      for (const file of [program, ...libraries]) copyFileSync(file, join(root + oracle, basename(file)));
    };
    // Undefined when GNU readlink does not come to an end, as it does not with -m on some loops of links.
    const readlink = (option: string, paths: readonly string[]): string[] | undefined => {
      const loader = readdirSync(root + oracle).find((name) => name.startsWith('ld-'));
      const [program, library] = [`${oracle}/readlink`, `${oracle}/${loader}`];
      const command = [root, library, '--library-path', oracle, program, option, '-z', '--', ...paths];
      const { stdout, signal } = spawnSync('chroot', command, {
        encoding: 'utf8',
        timeout: 500,
        killSignal: 'SIGKILL',
      });
      return signal === null ? stdout.split('\0').slice(0, -1) : undefined;
    };

    const name = fc.constantFrom('a', 'b', 'c', '..', '.');
    const path = fc
      .tuple(fc.boolean(), fc.array(name, { minLength: 1, maxLength: 5 }), fc.boolean())
      .map(([absolute, names, slash]) => `${absolute ? '/' : ''}${names.join('/')}${slash ? '/' : ''}`);
    const node = fc.oneof(
      fc.record({ kind: fc.constant('link' as const), target: path }),
      fc.record({ kind: fc.constant('directory' as const) }),
      fc.record({ kind: fc.constant('file' as const) }),
    );
    const tree = fc.array(
      fc.tuple(fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 }), node),
      {
        minLength: 2,
        maxLength: 9,
      },
    );

    // Parents come as plain directories; what cannot be made because a link or file stands in the way is left out.
    const build = (entries: typeof tree extends fc.Arbitrary<infer T> ? T : never): void => {
      for (const top of ['a', 'b', 'c']) rmSync(join(root, top), { recursive: true, force: true });
      for (const [names, made] of entries) {
        const at = names.join('/');
        if (resolveInRoot(root, names.slice(0, -1).join('/')) !== `/${names.slice(0, -1).join('/')}`)
          continue;
        try {
          mkdirAllInRoot(rootFd, names.slice(0, -1).join('/'), 0o755);
          if (made.kind === 'link') symlinkSync(made.target, join(root, at));
          else if (made.kind === 'directory') mkdirSync(join(root, at));
          else writeFileSync(join(root, at), '', { flag: 'wx' });
        } catch (error) {
          if (!['EEXIST', 'ENOTDIR'].includes((error as { code: string }).code)) throw error;
        }
      }
    };
    const resolved = (asked: string): string => {
      try {
        return resolveInRoot(root, asked);
      } catch (error) {
        assert.equal((error as { code: string }).code, 'too-many-links');
        return 'loop';
      }
    };

    it('resolves as readlink -m', () => {
      installOracle();
      fc.assert(
        fc.property(tree, fc.array(path, { minLength: 10, maxLength: 20 }), (entries, paths) => {
          try {
            build(entries);
          } catch (error) {
            // A loop among the parents: nothing to compare.
            assert.equal((error as { code: string }).code, 'too-many-links');
            return;
          }
          const expected = readlink('-m', paths);
          if (expected === undefined) return;
          assert.equal(expected.length, paths.length);
          for (const [index, asked] of paths.entries()) {
            const mine = resolved(asked);
            if (mine !== 'loop') assert.equal(mine, expected[index], asked);
          }
        }),
        { numRuns: runs(60), interruptAfterTimeLimit: 8000 },
      );
    });

    it('opens the file that readlink -e finds', () => {
      installOracle();
      fc.assert(
        fc.property(tree, path, (entries, asked) => {
          try {
            build(entries);
          } catch {
            return;
          }
          const [expected] = readlink('-e', [asked]) ?? [];
          let fd: number;
          try {
            fd = openInRoot(rootFd, asked, O_PATH);
          } catch {
            assert.equal(expected, undefined);
            return;
          }
          const found = readlinkSync(procFdPath(fd));
          closeSync(fd);
          assert.equal(found, join(root, expected ?? 'not found by readlink').replace(/\/$/, ''));
        }),
        { numRuns: runs(60), interruptAfterTimeLimit: 8000 },
      );
    });

    it('opens directories as directories', () => {
      assert.throws(() => openInRoot(rootFd, 'etc/passwd', O_PATH | O_DIRECTORY), { code: 'ENOTDIR' });
    });
  });
});
