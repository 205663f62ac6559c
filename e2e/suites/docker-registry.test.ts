// Images in Debian's docker-registry, pushed by skopeo (contract stage0 5.1-5.3).

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';

import { busyboxFiles } from '@rkt/testkit/busybox';
import { buildOciImage, layoutFiles, type OciDescription, writeFiles } from '@rkt/testkit/oci-builder';
import {
  type DebianRegistry,
  REGISTRY_PROGRAMS,
  startDebianRegistry,
} from '@rkt/testkit/registry/debian-registry';

import { forEachFlavour } from '../lib/flavours.ts';
import { type Requirement, requires } from '../lib/requires.ts';
import { INSECURE, Rkt } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

const LOGIN = { user: 'me', password: 'se:cret' };
const PROGRAMS = REGISTRY_PROGRAMS.map((name): Requirement => `program:${name}`);

function describeImage(script: string): OciDescription {
  return {
    layers: [busyboxFiles(), [{ path: 'etc/greeting', content: 'hello from a registry\n' }]],
    config: {
      // Manifests of schema 1 are made of the history.
      created: '2020-01-01T00:00:00Z',
      history: ['base', 'greeting'].map((created_by) => ({ created: '2020-01-01T00:00:00Z', created_by })),
      config: { Entrypoint: ['/bin/sh', '-c'], Cmd: [script], Env: ['GREETING=/etc/greeting'] },
    },
  };
}

suite('docker registry', ['root', 'busybox', ...PROGRAMS], (the) => {
  let registry: DebianRegistry;
  let certificates = '';
  before(async () => {
    registry = await startDebianRegistry({ tls: true, login: LOGIN });
    const layout = writeFiles(
      the.rkt.tmp.join('pushed'),
      layoutFiles([{ image: buildOciImage(describeImage('cat "$GREETING"')), tag: '1.0' }]),
    );
    registry.skopeo('copy', `oci:${layout}:1.0`, 'DEST/acme/hello:1.0');
    registry.skopeo('copy', `oci:${layout}:1.0`, 'DEST/acme/hello:latest');
    registry.skopeo('copy', '--format=v2s2', `oci:${layout}:1.0`, 'DEST/acme/v2s2:1.0');
    registry.skopeo('copy', '--format=v2s1', `oci:${layout}:1.0`, 'DEST/acme/v2s1:1.0');
    // Where docker's users put the authority of a registry; the port makes the name our own.
    certificates = `/etc/docker/certs.d/${registry.host}`;
    mkdirSync(certificates, { recursive: true });
    writeFileSync(`${certificates}/ca.crt`, registry.identity?.ca ?? '');
  });
  after(async () => {
    if (certificates !== '') rmSync(certificates, { recursive: true });
    await registry?.close();
  });
  let rkt: Rkt;
  beforeEach(() => {
    rkt = new Rkt('docker');
  });
  afterEach(() => rkt.tmp.remove());

  const logIn = (to: Rkt = rkt, login = LOGIN): void =>
    to.configure('localConfig', 'auth.d/registry.json', {
      rktKind: 'dockerAuth',
      rktVersion: 'v1',
      registries: [registry.host],
      credentials: login,
    });

  forEachFlavour([], (flavour) => {
    it('images run, over TLS and with a login', async () => {
      logIn(the.rkt);
      const image = `docker://${registry.host}/acme/hello:1.0`;
      const result = await the.rkt.ok(flavour.run(image));
      assert.ok(flavour.linesOf(result).includes('hello from a registry'), result.output);
      // The image is in the store now: no registry is asked.
      const again = await the.rkt.ok([INSECURE, '--debug', 'run', ...flavour.stage1, ...flavour.net, image]);
      assert.ok(again.output.includes(`using image from local store for url ${image}`), again.output);
    });
  });

  it('images of every manifest format give the same files', async () => {
    logIn();
    const greetings: string[] = [];
    for (const name of ['hello', 'v2s2', 'v2s1']) {
      const { stdout } = await rkt.ok([
        INSECURE,
        'fetch',
        '--full',
        `docker://${registry.host}/acme/${name}:1.0`,
      ]);
      const out = rkt.tmp.join(name);
      await rkt.ok(['image', 'extract', '--rootfs-only', stdout.trim(), out]);
      greetings.push(...readdirSync(`${out}/etc`), ...readdirSync(`${out}/bin`).slice(0, 3));
    }
    assert.equal(greetings.length % 3, 0);
    const third = greetings.length / 3;
    assert.deepEqual(greetings.slice(0, third), greetings.slice(third, 2 * third));
    assert.deepEqual(greetings.slice(0, third), greetings.slice(2 * third));
  });

  it('the login of docker login is used, and a helper', async () => {
    const image = `docker://${registry.host}/acme/hello`;
    const config = rkt.tmp.join('docker');
    mkdirSync(config);
    const auth = Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64');
    writeFileSync(`${config}/config.json`, JSON.stringify({ auths: { [registry.host]: { auth } } }));
    await rkt.ok([INSECURE, 'fetch', image], { env: { DOCKER_CONFIG: config } });
    writeFileSync(
      `${config}/docker-credential-e2e`,
      `#!/bin/sh\nread server\nprintf '{"Username":"%s","Secret":"%s"}' '${LOGIN.user}' '${LOGIN.password}'\n`,
      { mode: 0o755 },
    );
    writeFileSync(`${config}/config.json`, JSON.stringify({ credHelpers: { [registry.host]: 'e2e' } }));
    const env = { DOCKER_CONFIG: config, PATH: `${config}:${process.env['PATH']}` };
    await rkt.ok([INSECURE, 'fetch', `docker://${registry.host}/acme/v2s2:1.0`], { env });
  });

  it('without a login, or with a wrong one, is refused with what to do', async () => {
    const image = `docker://${registry.host}/acme/hello`;
    await rkt.fails([INSECURE, 'fetch', image], `${registry.host} wants a login`);
    await rkt.fails([INSECURE, 'fetch', image], /dockerAuth/);
    logIn(rkt, { user: 'me', password: 'wr0ng' });
    const { output } = await rkt.fails(
      [INSECURE, '--debug', 'fetch', image],
      /Unexpected HTTP code: 401|wants a login/,
    );
    assert.ok(
      !output.includes('wr0ng') && !output.includes(Buffer.from('me:wr0ng').toString('base64')),
      output,
    );
    assert.equal((await rkt.ok(['image', 'list', '--no-legend'])).stdout.trim(), '');
  });

  it('that nobody vouches for is refused, unless tls is insecure', async () => {
    logIn();
    const image = `docker://${registry.host}/acme/hello`;
    rmSync(`${certificates}/ca.crt`);
    try {
      await rkt.fails([INSECURE, 'fetch', image], /certificate/);
      await rkt.ok(['--insecure-options=image,tls', 'fetch', image]);
    } finally {
      writeFileSync(`${certificates}/ca.crt`, registry.identity?.ca ?? '');
    }
  });

  it('images need signatures to be off', async () => {
    logIn();
    await rkt.fails(
      ['fetch', `docker://${registry.host}/acme/hello`],
      'signature verification for docker images is not supported (try --insecure-options=image)',
    );
  });

  it('images are found by digest', async () => {
    logIn();
    const digest = registry
      .skopeo(
        'inspect',
        `--cert-dir=${registry.certificates}/${registry.host}`,
        `--creds=${LOGIN.user}:${LOGIN.password}`,
        '--format={{.Digest}}',
        'DEST/acme/hello:1.0',
      )
      .trim();
    const byDigest = await rkt.ok([
      INSECURE,
      'fetch',
      '--full',
      `docker://${registry.host}/acme/hello@${digest}`,
    ]);
    const { stdout } = await rkt.ok(['image', 'cat-manifest', byDigest.stdout.trim()]);
    const manifest = JSON.parse(stdout) as {
      labels: { name: string }[];
      annotations: { name: string; value: string }[];
    };
    assert.ok(!manifest.labels.some(({ name }) => name === 'version'));
    const hash = manifest.annotations.find(({ name }) => name === 'appc.io/docker/manifesthash');
    assert.equal(hash?.value, digest);
    await rkt.fails(
      [INSECURE, 'fetch', `docker://${registry.host}/acme/hello@sha256:${'0'.repeat(64)}`],
      /404/,
    );
  });

  it('images that did not change are not fetched again', async () => {
    logIn();
    const image = `docker://${registry.host}/acme/hello`;
    const first = await rkt.ok([INSECURE, 'fetch', '--full', image]);
    assert.match(first.stderr, /^Downloading sha256:[0-9a-f]{11}: /m);
    const second = await rkt.ok([INSECURE, 'fetch', '--full', image]);
    assert.equal(second.stdout, first.stdout);
    assert.doesNotMatch(second.stderr, /Downloading/);
  });

  it('layers have a bar each on a terminal', async () => {
    logIn();
    const image = `docker://${registry.host}/acme/hello`;
    const { output, status } = await rkt.startOnTerminal([INSECURE, 'fetch', image]).ended;
    assert.equal(status, 0, output);
    const bars = new Set(output.match(/Downloading sha256:[0-9a-f]{11}: \[=+\]/g));
    assert.equal(bars.size, 2, output);
  });

  it('images that are not there are named', async () => {
    logIn();
    await rkt.fails(
      [INSECURE, 'fetch', `docker://${registry.host}/acme/hello:2`],
      /unable to fetch docker image from URL|Unexpected HTTP code: 404/,
    );
  });
});

suite('docker registry over http', [...PROGRAMS], (the) => {
  let registry: DebianRegistry;
  before(async function () {
    requires(this, 'root');
    registry = await startDebianRegistry();
    const layout = writeFiles(
      the.rkt.tmp.join('pushed'),
      layoutFiles([{ image: buildOciImage(), tag: 'x' }]),
    );
    registry.skopeo('copy', `oci:${layout}:x`, 'DEST/proxy/acme/tiny:latest');
  });
  after(() => registry?.close());

  it('needs http to be allowed', async () => {
    const image = `docker://${registry.host}/proxy/acme/tiny`;
    await the.rkt.fails([INSECURE, 'fetch', image], /cannot get https:/);
    await the.rkt.ok(['--insecure-options=image,http', 'fetch', image]);
  });

  it('is asked in the place of another when it is its mirror', async () => {
    using rkt = new Rkt('mirror');
    rkt.configure('localConfig', 'mirrors.d/a.json', {
      rktKind: 'dockerMirrors',
      rktVersion: 'v1',
      registries: ['registry.invalid'],
      mirrors: [`http://${registry.host}/proxy`],
    });
    const { stdout } = await rkt.ok(['config', '--pretty-print=false']);
    const entries = (JSON.parse(stdout) as { stage0: { rktKind: string }[] }).stage0;
    assert.deepEqual(
      entries.find(({ rktKind }) => rktKind === 'dockerMirrors'),
      {
        rktVersion: 'v1',
        rktKind: 'dockerMirrors',
        registries: ['registry.invalid'],
        mirrors: [`http://${registry.host}/proxy`],
      },
    );
    const fetched = await rkt.ok([
      '--insecure-options=image,http',
      'fetch',
      '--full',
      'docker://registry.invalid/acme/tiny',
    ]);
    const manifest = await rkt.ok(['image', 'cat-manifest', fetched.stdout.trim()]);
    assert.equal((JSON.parse(manifest.stdout) as { name: string }).name, 'registry.invalid/acme/tiny');
  });
});
