// Images of docker's world, made by umoci and skopeo, run as those who made them meant it (contract stage0 5).

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { imageIds } from '@rkt/testkit/aci-builder';
import { debianRoot } from '@rkt/testkit/debian-image';

import { forEachFlavour } from '../lib/flavours.ts';
import { storeSuite } from '../lib/fixtures.ts';
import { INSECURE, type Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const TOOLS = ['root', 'program:umoci', 'program:skopeo'] as const;

/** An OCI layout that is made layer by layer. */
class Layout {
  readonly path: string;
  readonly #work: string;
  #layers = 0;

  constructor(rkt: Rkt, name: string) {
    this.path = rkt.tmp.join(name);
    this.#work = rkt.tmp.join(`${name}-work`);
    mkdirSync(this.#work);
    this.#umoci('init', '--layout', this.path);
    this.#umoci('new', '--image', `${this.path}:1`);
  }

  /** Adds what `fill` puts into a directory as a layer. */
  layer(fill: (root: string) => void): this {
    this.#layers += 1;
    const root = join(this.#work, String(this.#layers));
    mkdirSync(root);
    fill(root);
    return this.tree(root);
  }

  /** Adds an existing directory as a layer. */
  tree(root: string): this {
    const tar = join(this.#work, 'layer.tar');
    execFileSync('tar', ['-C', root, '--numeric-owner', '-cf', tar, '.']);
    this.#umoci('raw', 'add-layer', '--image', `${this.path}:1`, tar);
    return this;
  }

  /** Sets fields of the config, e.g. `--config.user`, `1000`. */
  config(...flags: readonly string[]): this {
    this.#umoci('config', '--image', `${this.path}:1`, ...flags);
    return this;
  }

  #umoci(...args: readonly string[]): void {
    execFileSync('umoci', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

function busybox(root: string): void {
  for (const directory of ['bin', 'etc', 'data', 'work', 'tmp']) mkdirSync(join(root, directory));
  execFileSync('cp', ['/bin/busybox', join(root, 'bin')]);
  for (const applet of ['sh', 'id', 'pwd', 'ls', 'cat', 'env', 'stat', 'echo', 'test'])
    execFileSync('ln', ['-s', 'busybox', join(root, 'bin', applet)]);
  writeFileSync(join(root, 'etc/passwd'), 'app:x:1000:50::/:\n');
  writeFileSync(join(root, 'etc/group'), 'staff:x:50:\n');
  writeFileSync(join(root, 'etc/old'), 'old\n');
  writeFileSync(join(root, 'data/seed'), 'seed\n');
  execFileSync('chown', ['-R', '1000:50', join(root, 'data')]);
}

function changes(root: string): void {
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/.wh.old'), '');
  writeFileSync(join(root, 'etc/new'), 'new\n');
  mkdirSync(join(root, 'tmp'));
  writeFileSync(join(root, 'tmp/.wh..wh..opq'), '');
}

suite('converted images', [...TOOLS, 'busybox'], (the) => {
  let image = '';
  before(() => {
    const { path } = new Layout(the.rkt, 'busybox')
      .layer(busybox)
      .layer((root) => {
        mkdirSync(join(root, 'tmp'));
        writeFileSync(join(root, 'tmp/hidden'), 'hidden\n');
      })
      .layer(changes)
      .config('--config.user', 'app:staff', '--config.workingdir', '/work')
      .config('--config.env', 'PATH=/bin', '--config.env', 'GREETING=a b "c"')
      .config('--config.entrypoint', '/bin/sh', '--config.entrypoint', '-c')
      .config('--config.cmd', 'id -un; id -gn; pwd; echo "$GREETING"; ls /etc /tmp')
      .config('--config.exposedports', '8080/tcp', '--config.exposedports', '53/udp')
      .config('--config.volume', '/data');
    image = `oci:${path}:1`;
  });

  it('say in their manifest what the config said', async () => {
    const key = (await the.rkt.ok([INSECURE, 'fetch', '--full', image])).stdout.trim();
    const { stdout } = await the.rkt.ok(['image', 'cat-manifest', key]);
    const manifest = JSON.parse(stdout) as {
      name: string;
      app: {
        ports: { name: string; port: number; protocol: string }[];
        mountPoints: unknown;
        exec: string[];
      };
      annotations: { name: string; value: string }[];
    };
    assert.equal(manifest.name, 'localhost/busybox');
    assert.deepEqual(
      manifest.app.ports.map(({ name, port, protocol }) => `${name} ${port} ${protocol}`),
      ['53-udp 53 udp', '8080-tcp 8080 tcp'],
    );
    assert.deepEqual(manifest.app.mountPoints, [{ name: 'volume-data', path: '/data' }]);
    const annotation = (name: string): string | undefined =>
      manifest.annotations.find((each) => each.name === `appc.io/docker/${name}`)?.value;
    assert.equal(annotation('originalname'), image);
    assert.equal(annotation('entrypoint'), '["/bin/sh","-c"]');
    const index = JSON.parse(readFileSync(join(image.split(':')[1] ?? '', 'index.json'), 'utf8')) as {
      manifests: { digest: string }[];
    };
    assert.equal(annotation('manifesthash'), index.manifests[0]?.digest);
  });

  forEachFlavour([], (flavour) => {
    const run = async (...flags: readonly string[]): Promise<string[]> => {
      const volume = flavour.can.emptyVolumes
        ? []
        : [`--volume=volume-data,kind=host,source=${the.rkt.scratch}`];
      return flavour.linesOf(await the.rkt.ok(flavour.run(...volume, image, ...flags)));
    };

    it('run as their user, in their directory, with their environment and files', async () => {
      const lines = await run();
      assert.deepEqual(lines.slice(0, 4), ['app', 'staff', '/work', 'a b "c"']);
      const files = lines.slice(4);
      assert.ok(files.includes('new') && files.includes('passwd'), files.join());
      for (const gone of ['old', 'hidden', '.wh.old', '.wh..wh..opq']) assert.ok(!files.includes(gone), gone);
    });
    it('take other arguments, a program, a user', async () => {
      assert.deepEqual(await run('--exec=/bin/busybox', '--user=0', '--group=0', '--', 'id', '-u'), ['0']);
    });
  });

  forEachFlavour(['emptyVolumes'], (flavour) => {
    it('have volumes that start with what the image has there', async () => {
      const script = 'cat /data/seed; stat -c %u:%g /data; echo more > /data/more && echo written';
      const result = await the.rkt.ok(flavour.run(image, '--exec=/bin/sh', '--', '-c', script));
      assert.deepEqual(flavour.linesOf(result), ['seed', '1000:50', 'written']);
    });
  });
});

suite('converted Debian', [...TOOLS, 'debian'], (the) => {
  let image = '';
  before(function () {
    this.timeout(900_000);
    const { path } = new Layout(the.rkt, 'debian').tree(debianRoot()).layer((root) => {
      mkdirSync(join(root, 'usr/share'), { recursive: true });
      writeFileSync(join(root, 'usr/share/.wh.doc'), '');
    });
    image = `oci:${path}:1`;
  });

  it('is fetched, verified and rendered', async function () {
    this.timeout(300_000);
    const options = { timeoutMs: 120_000 };
    const key = (await the.rkt.ok([INSECURE, 'fetch', '--full', image], options)).stdout.trim();
    const { stdout } = await the.rkt.ok(['image', 'verify', key], options);
    assert.match(stdout, /^successfully verified checksum/);
    const out = the.rkt.tmp.join('rendered');
    await the.rkt.ok(['image', 'render', key, out], options);
    assert.ok(existsSync(join(out, 'rootfs/usr/share')) && !existsSync(join(out, 'rootfs/usr/share/doc')));
    const extracted = the.rkt.tmp.join('extracted');
    await the.rkt.ok(['image', 'extract', key, extracted], options);
    const compared = execFileSync(
      'diff',
      ['-r', '--no-dereference', out, extracted, '-x', 'manifest', '-x', 'dev'],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(compared, '');
    // GNU diff judges the contents: what was taken away is all that is missing.
    const missing = spawnSync(
      'diff',
      ['-rq', '--no-dereference', '-x', 'dev', debianRoot(), join(out, 'rootfs')],
      {
        encoding: 'utf8',
      },
    ).stdout;
    assert.deepEqual(missing.trim().split('\n'), [`Only in ${join(debianRoot(), 'usr/share')}: doc`]);
  });
  forEachFlavour([], (flavour) => {
    it('runs its own programs', async function () {
      this.timeout(300_000);
      const args = ['--exec=/usr/bin/dpkg-query', '--', '-W', '-f', '${Version}', 'base-files'];
      const run = flavour.run(image, ...args);
      const lines = flavour.linesOf(await the.rkt.ok(run, { timeoutMs: 120_000 }));
      assert.match(lines[0] ?? '', /^12\./);
    });
  });
});

storeSuite('the store and converted images', [...TOOLS, 'busybox'], (the) => {
  const layout = (name: string): Layout => new Layout(the.rkt, name).layer(busybox);
  const fetch = async (image: string, ...flags: readonly string[]): Promise<string> =>
    (await the.rkt.ok([INSECURE, 'fetch', '--full', ...flags, image])).stdout.trim();
  const layers = (): string[] => {
    const directory = join(the.rkt.data, 'cas/layer/sha256');
    return existsSync(directory)
      ? readdirSync(directory).flatMap((each) => readdirSync(join(directory, each)))
      : [];
  };

  it('want no signature only when asked', async () => {
    const { path } = layout('a');
    await the.rkt.fails(
      ['fetch', `oci:${path}:1`],
      'signature verification for docker images is not supported (try --insecure-options=image)',
    );
  });
  it('keep what has not changed, by policy', async () => {
    const made = layout('a');
    const image = `oci:${made.path}:1`;
    await the.rkt.fails(
      [INSECURE, 'fetch', '--pull-policy=never', image],
      /unable to fetch docker image from/,
    );
    const key = await fetch(image);
    assert.equal(await fetch(image), key);
    made.config('--config.user', '7');
    assert.equal(await fetch(image, '--pull-policy=new'), key);
    assert.equal(await fetch(image, '--pull-policy=never'), key);
    const other = await fetch(image);
    assert.notEqual(other, key);
    assert.equal((await the.rows()).length, 2);
  });
  it('export the bytes the ID stands for, which are an image again', async () => {
    const key = await fetch(`oci:${layout('a').path}:1`);
    const out = the.rkt.tmp.join('out.aci');
    await the.rkt.ok(['image', 'export', key, out]);
    assert.equal(imageIds(readFileSync(out)).key, key);
    await the.rkt.ok(['image', 'rm', key]);
    assert.equal(await the.rkt.fetch(out), key);
  });
  it('forget layers with the last image that was made of them', async () => {
    const made = layout('a');
    const first = await fetch(`oci:${made.path}:1`);
    made.layer(changes);
    const second = await fetch(`oci:${made.path}:1`);
    assert.equal(layers().length, 2);
    await the.rkt.ok(['image', 'rm', second]);
    assert.equal(layers().length, 1);
    await the.rkt.ok(['image', 'gc', '--grace-period=0s']);
    assert.deepEqual([layers(), await the.rows()], [[], []]);
    assert.match(first, /^sha512-/);
  });
  it('take archives as skopeo writes them', async () => {
    const { path } = layout('a');
    const archive = the.rkt.tmp.join('a.tar');
    execFileSync('skopeo', ['copy', '--quiet', `oci:${path}:1`, `docker-archive:${archive}:acme/a:latest`]);
    const key = await fetch(`docker-archive:${archive}`);
    const [row] = await the.rows();
    assert.deepEqual([row?.id, row?.name], [key, 'registry-1.docker.io/acme/a:latest']);
  });
});
