// Debian's docker-registry on loopback, with TLS and a login, and skopeo to fill it. Runs in the test process; the
// registry is a child that dies with it.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { TempDir } from '../tmp.ts';
import { type TlsIdentity, tlsIdentity } from './tls-identity.ts';

/** How a registry is started. */
export interface DebianRegistryOptions {
  readonly tls?: boolean;
  /** Everybody else is refused. */
  readonly login?: { readonly user: string; readonly password: string };
}

/** A running registry. */
export interface DebianRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly identity: TlsIdentity | undefined;
  /** A directory as /etc/docker/certs.d, with the registry's authority. */
  readonly certificates: string;
  /** Runs skopeo, logged in where the registry wants it. `DEST` in an argument becomes `docker://HOST`. */
  skopeo(...args: readonly string[]): string;
  close(): Promise<void>;
}

/** Programs that {@link startDebianRegistry} needs. */
export const REGISTRY_PROGRAMS = ['docker-registry', 'skopeo', 'htpasswd', 'openssl', 'setpriv'] as const;

/** Starts an empty registry on a free port of 127.0.0.1. */
export async function startDebianRegistry({
  tls = false,
  login,
}: DebianRegistryOptions = {}): Promise<DebianRegistry> {
  const tmp = new TempDir('registry');
  const identity = tls ? tlsIdentity(tmp) : undefined;
  const config = {
    version: 0.1,
    log: { level: 'info', formatter: 'text' },
    storage: { filesystem: { rootdirectory: tmp.join('storage') } },
    http: {
      addr: '127.0.0.1:0',
      ...(identity !== undefined && { tls: { certificate: identity.certFile, key: identity.keyFile } }),
    },
    // Pushing manifests of schema 1 has to be asked for.
    compatibility: { schema1: { enabled: true } },
    ...(login !== undefined && {
      auth: { htpasswd: { realm: 'test', path: writePasswords(tmp, login.user, login.password) } },
    }),
  };
  // JSON is YAML.
  writeFileSync(tmp.join('config.yml'), JSON.stringify(config));
  // No OTEL, no proxies: nothing of the caller's environment.
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', 'docker-registry', 'serve', tmp.join('config.yml')],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    },
  );
  const port = await listeningPort(child);
  const host = `127.0.0.1:${port}`;
  const certificates = tmp.join('certs.d');
  mkdirSync(`${certificates}/${host}`, { recursive: true });
  if (identity !== undefined) writeFileSync(`${certificates}/${host}/ca.crt`, identity.ca);
  const close = async (): Promise<void> => {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
    tmp.remove();
  };
  return {
    host,
    identity,
    certificates,
    skopeo: (...args) => skopeo(args, { host, tls, login, certificates: `${certificates}/${host}` }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function writePasswords(tmp: TempDir, user: string, password: string): string {
  const file = tmp.join('htpasswd');
  // The registry takes bcrypt only; 5 is the cheapest.
  run('htpasswd', ['-c', '-b', '-B', '-C', '5', file, user, password]);
  return file;
}

async function listeningPort(child: ChildProcess): Promise<string> {
  const said: string[] = [];
  if (child.stderr === null) throw new Error('docker-registry has no stderr');
  const lines = createInterface({ input: child.stderr });
  for await (const line of lines) {
    said.push(line);
    const port = /listening on 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    // What it goes on saying must not fill the pipe.
    child.stderr.resume();
    return port;
  }
  throw new Error(`docker-registry does not start:\n${said.join('\n')}`);
}

function skopeo(
  args: readonly string[],
  {
    host,
    tls,
    login,
    certificates,
  }: Required<Pick<DebianRegistryOptions, 'tls'>> & {
    readonly host: string;
    readonly login: DebianRegistryOptions['login'];
    readonly certificates: string;
  },
): string {
  const flags = tls ? [`--dest-cert-dir=${certificates}`] : ['--dest-tls-verify=false'];
  if (login !== undefined) flags.push(`--dest-creds=${login.user}:${login.password}`);
  const [command = '', ...rest] = args;
  const named = rest.map((arg) => arg.replace('DEST', `docker://${host}`));
  return run('skopeo', ['--insecure-policy', command, ...(command === 'copy' ? flags : []), ...named]);
}

function run(program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`);
}
