// A metadata service with a socket and a data directory of its own, and clients that say exactly what they are told to.
// Runs in the test process.

import { mkdirSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';

import { createLogger } from '@rkt/diagnostics/logger';
import { type FileLock, lockDirectory } from '@rkt/linux/file-lock';
import { type DataDir, dataDir } from '@rkt/pod-layout/data-dir';
import {
  appImageManifestFile,
  appInfoDir,
  type PodDir,
  podManifestFile,
  podPath,
} from '@rkt/pod-layout/pod-paths';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { PodManifest } from '@rkt/spec/pod-manifest';
import { TempDir } from '@rkt/testkit/tmp';

import type { Patience } from '../api-server.ts';
import type { SocketPlace } from '../registration-socket.ts';
import { type MetadataService, startService } from '../service.ts';

export const UUID = '6733c088-a507-4694-aabf-113c5dcfb0a3';
export const TOKEN = '0123456789abcdef0123456789abcdef';
export const OTHER_UUID = 'c9a1e7a2-0a3c-4b0f-9d8e-3f1f0a6c7b10';
export const OTHER_TOKEN = 'fedcba9876543210fedcba9876543210';
export const PREFIX: string = `/${TOKEN}/acMetadata/v1`;
export const IMAGE_ID: string = `sha512-${'ab'.repeat(64)}`;

export const POD_MANIFEST: PodManifest = {
  acVersion: '0.8.11',
  acKind: 'PodManifest',
  apps: [
    {
      name: 'web',
      image: { name: 'example.com/web', id: IMAGE_ID },
      annotations: [
        { name: 'authors', value: 'the pod' },
        { name: 'app/only', value: 'a' },
      ],
    },
    { name: 'plain', image: { id: IMAGE_ID } },
  ],
  annotations: [
    { name: 'example.com/colour', value: 'blau & grün' },
    { name: 'empty', value: '' },
  ],
};

export const IMAGE_MANIFEST: ImageManifest = {
  acKind: 'ImageManifest',
  acVersion: '0.8.11',
  name: 'example.com/web',
  annotations: [
    { name: 'created', value: '2016-01-26T14:23:34Z' },
    { name: 'authors', value: 'the image' },
  ],
};

/** What a client got. */
export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Options of {@link TestService.start}. */
export interface TestServiceOptions {
  readonly address?: string;
  readonly patience?: Patience;
  /** Another service's directory, to take its place. */
  readonly in?: TempDir;
}

/** A service under test. */
export class TestService implements AsyncDisposable {
  readonly tmp: TempDir;
  readonly data: DataDir;
  readonly place: SocketPlace;
  /** Lines on stderr. */
  readonly log: string[] = [];
  readonly #locks: FileLock[] = [];
  #service: MetadataService | undefined;

  private constructor(tmp: TempDir) {
    this.tmp = tmp;
    this.data = dataDir(tmp.join('data'));
    this.place = { directory: tmp.join('run'), path: tmp.join('run/metadata.sock') };
  }

  static async start(options: TestServiceOptions = {}): Promise<TestService> {
    const { address, patience, in: tmp = new TempDir('mds') } = options;
    const the = new TestService(tmp);
    the.#service = await startService({
      port: 0,
      address,
      data: the.data,
      env: {},
      logger: createLogger({ prefix: 'mds', debug: true, write: (line) => the.log.push(line) }),
      place: the.place,
      ...(patience && { patience }),
    });
    return the;
  }

  get port(): number {
    return this.#service?.port ?? 0;
  }

  async close(graceMs = 100): Promise<void> {
    await this.#service?.close(graceMs);
    this.#service = undefined;
  }

  /** A request to the public API. */
  ask(
    method: string,
    path: string,
    body?: string | Buffer,
    headers: Record<string, string> = {},
  ): Promise<Got> {
    return send({ host: '127.0.0.1', port: this.port }, method, path, body, headers);
  }

  get(path: string): Promise<Got> {
    return this.ask('GET', path);
  }

  /** A form sent to the public API. */
  post(path: string, fields: Readonly<Record<string, string>>): Promise<Got> {
    return this.ask('POST', path, new URLSearchParams(fields).toString(), {
      'Content-Type': 'application/x-www-form-urlencoded',
    });
  }

  /** A request to the registration API. */
  tell(method: string, path: string, body?: unknown): Promise<Got> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return send({ socketPath: this.place.path }, method, path, text);
  }

  /** Registers the two pods of the tests. */
  async register(): Promise<void> {
    await this.tell('PUT', `/pods/${UUID}?token=${TOKEN}`, POD_MANIFEST);
    for (const app of ['web', 'plain']) await this.tell('PUT', `/pods/${UUID}/${app}`, IMAGE_MANIFEST);
    const other = { ...POD_MANIFEST, apps: [], annotations: [{ name: 'secret', value: 'of the other pod' }] };
    await this.tell('PUT', `/pods/${OTHER_UUID}?token=${OTHER_TOKEN}`, other);
  }

  /** A running pod in the data directory; releasing the lock ends it. */
  runPod(uuid: string): { readonly dir: PodDir; readonly lock: FileLock } {
    const dir = podPath(this.data, 'run', uuid);
    for (const app of ['web', 'plain']) {
      mkdirSync(appInfoDir(dir, app), { recursive: true });
      writeFileSync(appImageManifestFile(dir, app), JSON.stringify(IMAGE_MANIFEST));
    }
    writeFileSync(podManifestFile(dir), JSON.stringify(POD_MANIFEST));
    const lock = lockDirectory(dir, { exclusive: true, wait: true });
    this.#locks.push(lock);
    return { dir, lock };
  }

  /** Bytes to the public port; gives everything that came back until the service hung up. */
  raw(bytes: string | Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1', () => socket.write(bytes));
      let text = '';
      socket.setEncoding('latin1');
      socket.on('data', (chunk: string) => (text += chunk));
      socket.once('close', () => resolve(text));
      // A service that hangs up while we still send resets the connection.
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    for (const lock of this.#locks) lock.release();
    this.tmp.remove();
  }
}

/** One request, sent as it is. */
export function send(
  to: { readonly host: string; readonly port: number } | { readonly socketPath: string },
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): Promise<Got> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...to, method, path, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
      incoming.once('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
      incoming.once('error', reject);
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
