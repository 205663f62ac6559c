// A registry on loopback with images of a real Debian root in layers. Runs in the bench process.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { debianRoot } from '@rkt/testkit/debian-image';
import { benchDir } from './fixtures.ts';
import { CLEAN_ENVIRONMENT } from './measure.ts';

// Raised when the recipe below changes, so that old images are not used.
const RECIPE = 1;
const TAG = 'bench';
/** What no compressor makes smaller, as images, models and archives in an image are. */
const RANDOM_MB = 20;

/** Parts of the Debian root that the layers above the first add once more, below /opt. */
const PARTS: readonly (readonly string[])[] = [['usr/lib'], ['usr/share'], ['usr/bin', 'usr/sbin']];

/**
 * The OCI layout of an image of 5 layers and 250 MB: a Debian root, three parts of it once more, and one layer with
 * changes, whiteouts and 20 MB of random bytes. With `copies` it is that many times as large, in as many more layers.
 * Made at the first use; kept.
 */
export function debianLayout(copies: number): string {
  const layout = path.join(benchDir, `docker-${RECIPE}-${copies}`);
  if (fs.existsSync(layout)) return layout;
  const root = debianRoot();
  const work = `${layout}.new`;
  const tar = path.join(benchDir, 'layer.tar');
  fs.rmSync(work, { recursive: true, force: true });
  const image = `${work}:${TAG}`;
  run('umoci', 'init', '--layout', work);
  run('umoci', 'new', '--image', image);
  run('umoci', 'config', '--image', image, '--config.cmd', '/bin/true', '--config.env', 'PATH=/usr/bin:/bin');
  const add = (directory: string, prefix: string, ...names: readonly string[]): void => {
    const transform = prefix === '' ? [] : [`--transform=flags=r;s,^,${prefix}/,`];
    run('tar', '-C', directory, '--sort=name', '--numeric-owner', ...transform, '-cf', tar, ...names);
    run('umoci', 'raw', 'add-layer', '--image', image, tar);
  };
  for (let copy = 0; copy < copies; copy += 1) {
    add(root, copy === 0 ? '' : `copy${copy}`, '.');
    for (const [index, names] of PARTS.entries()) add(root, `opt/part${copy}-${index}`, ...names);
    const top = changes(copy);
    add(top, '', '.');
    fs.rmSync(top, { recursive: true });
  }
  fs.rmSync(tar);
  fs.renameSync(work, layout);
  return layout;
}

function changes(copy: number): string {
  const top = path.join(benchDir, 'changes');
  fs.mkdirSync(path.join(top, 'etc'), { recursive: true });
  fs.mkdirSync(path.join(top, `usr/share/doc`), { recursive: true });
  fs.writeFileSync(path.join(top, 'etc/hostname'), `bench${copy}\n`);
  fs.writeFileSync(path.join(top, 'usr/share/.wh.doc'), '');
  run('dd', 'if=/dev/urandom', `of=${path.join(top, `random${copy}`)}`, 'bs=1M', `count=${RANDOM_MB}`);
  return top;
}

/** A registry that runs until it is disposed of. */
export class Registry implements Disposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(host: string, child: ChildProcess, directory: string) {
    this.host = host;
    this.#child = child;
    this.#directory = directory;
  }

  /** Starts Debian's docker-registry without TLS and waits until it answers. */
  static async start(): Promise<Registry> {
    const directory = fs.mkdtempSync(path.join(benchDir, 'registry-'));
    const host = `127.0.0.1:${await freePort()}`;
    const config = path.join(directory, 'config.json');
    const storage = { filesystem: { rootdirectory: path.join(directory, 'data') } };
    fs.writeFileSync(
      config,
      JSON.stringify({ version: '0.1', log: { level: 'error' }, storage, http: { addr: host } }),
    );
    const child = spawn('docker-registry', ['serve', config], { env: CLEAN_ENVIRONMENT, stdio: 'ignore' });
    const registry = new Registry(host, child, directory);
    for (let wait = 0; wait < 100; wait += 1) {
      const response = await fetch(`http://${host}/v2/`).catch(() => undefined);
      if (response?.ok === true) return registry;
      await sleep(100);
    }
    registry[Symbol.dispose]();
    throw new Error('docker-registry does not answer');
  }

  /** Puts the image of an OCI layout there; returns the reference behind `docker://`. */
  push(layout: string, name: string): string {
    const reference = `${this.host}/bench/${name}:1`;
    run(
      'skopeo',
      'copy',
      '--quiet',
      '--dest-tls-verify=false',
      `oci:${layout}:${TAG}`,
      `docker://${reference}`,
    );
    return reference;
  }

  [Symbol.dispose](): void {
    this.#child.kill('SIGKILL');
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { env: CLEAN_ENVIRONMENT, stdio: ['ignore', 'ignore', 'pipe'] });
}
