// Logins to registries: rkt's own configuration, then what `docker login` and its relatives have left
// (contract stage0 2.4; docker's config.json, containers-auth.json(5)). Runs in stage0.

import { readFileSync } from 'node:fs';
import path from 'node:path';

import { quote } from '@rkt/diagnostics/quote';
import { parseGoJson } from '@rkt/spec/go-json';

import type { DockerCredentials } from '../../config/config.ts';
import { DockerError, refuse } from '../errors.ts';
import { DEFAULT_INDEX } from '../reference.ts';
import { askHelper } from './credential-helper.ts';

/** What is known about a login. */
export type Login =
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** To be exchanged at the token server. */
  | { readonly kind: 'identity-token'; readonly token: string }
  /** To be sent as it is. */
  | { readonly kind: 'registry-token'; readonly token: string };

/** Where logins are looked for. */
export interface CredentialSources {
  /** By index name; wins over everything else. */
  readonly dockerAuth: ReadonlyMap<string, DockerCredentials>;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The login for a repository of `host`, or undefined.
 * @throws DockerError `credentials` for files and helpers that cannot be used
 */
export async function findLogin(
  host: string,
  repository: string,
  { dockerAuth, env }: CredentialSources,
): Promise<Login | undefined> {
  for (const name of namesOf(host)) {
    const own = dockerAuth.get(name);
    if (own !== undefined) return { kind: 'password', ...own };
  }
  for (const file of credentialFiles(env)) {
    const login = await loginInFile(file, host, repository, env);
    if (login !== undefined) return login;
  }
  return undefined;
}

/** In order; REGISTRY_AUTH_FILE stands for all others. */
export function credentialFiles(env: Readonly<Record<string, string>>): string[] {
  const { REGISTRY_AUTH_FILE, DOCKER_CONFIG, HOME } = env;
  if (REGISTRY_AUTH_FILE) return [REGISTRY_AUTH_FILE];
  if (DOCKER_CONFIG) return [path.join(DOCKER_CONFIG, 'config.json')];
  return HOME ? [path.join(HOME, '.docker', 'config.json')] : [];
}

async function loginInFile(
  file: string,
  host: string,
  repository: string,
  env: CredentialSources['env'],
): Promise<Login | undefined> {
  const config = readConfig(file);
  if (config === undefined) return undefined;
  const helpers = objectAt(config, 'credHelpers', file);
  for (const name of namesOf(host)) {
    const helper = helpers[name];
    if (typeof helper === 'string') return await askHelper(helper, name, env);
  }
  const auths = objectAt(config, 'auths', file);
  const store = config['credsStore'];
  if (typeof store === 'string' && store !== '') {
    for (const name of storedNamesOf(host)) {
      const login = await askHelper(store, name, env);
      if (login !== undefined) return login;
    }
  }
  for (const key of authKeys(host, repository, Object.keys(auths))) {
    const login = readAuth(auths[key], `${file}: auths[${quote(key)}]`);
    if (login !== undefined) return login;
  }
  return undefined;
}

// docker.io has three names in the files of others.
function namesOf(host: string): string[] {
  return host === DEFAULT_INDEX ? [host, 'docker.io', 'index.docker.io'] : [host];
}

function storedNamesOf(host: string): string[] {
  return host === DEFAULT_INDEX ? ['https://index.docker.io/v1/'] : [host];
}

/** Keys for the repository, the nearest first; `https://HOST/v1/` and `HOST/NAMESPACE` count as HOST. */
function authKeys(host: string, repository: string, keys: readonly string[]): string[] {
  const names = namesOf(host);
  const wanted = names.flatMap((name) => {
    const parts = repository.split('/');
    return [...parts.keys()].map((at) => [name, ...parts.slice(0, parts.length - at)].join('/')).concat(name);
  });
  const bare = (key: string): string => key.replace(/^https?:\/\//i, '').replace(/\/(?:v[12]\/?)?$/, '');
  return wanted
    .toSorted((a, b) => b.split('/').length - a.split('/').length)
    .flatMap((name) => keys.filter((key) => bare(key) === name));
}

function readConfig(file: string): Record<string, unknown> | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new DockerError('credentials', `cannot read the logins in ${quote(file)}: ${message}`);
  }
  if (text.trim() === '') return undefined;
  try {
    return asObject(parseGoJson(text, quote(file)), quote(file));
  } catch (error) {
    // The parser shows the faulty line, and there are passwords in this file.
    throw error instanceof DockerError ? error : new DockerError('credentials', `${quote(file)} is not JSON`);
  }
}

function objectAt(config: Record<string, unknown>, key: string, file: string): Record<string, unknown> {
  return asObject(config[key] ?? {}, `${quote(file)}: ${key}`);
}

function asObject(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  return refuse('credentials', `${where} is not an object`);
}

function readAuth(value: unknown, where: string): Login | undefined {
  const entry = asObject(value, where);
  const text = (key: string): string => {
    const field = entry[key] ?? '';
    return typeof field === 'string' ? field : refuse('credentials', `${where}: ${key} is not a string`);
  };
  if (text('registrytoken') !== '') return { kind: 'registry-token', token: text('registrytoken') };
  if (text('identitytoken') !== '') return { kind: 'identity-token', token: text('identitytoken') };
  if (text('auth') !== '') {
    // Old versions padded it with NUL.
    const pair = Buffer.from(text('auth'), 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = pair.indexOf(':');
    if (colon < 1) refuse('credentials', `${where}: auth is not the base64 form of USER:PASSWORD`);
    return { kind: 'password', user: pair.slice(0, colon), password: pair.slice(colon + 1) };
  }
  const user = text('username');
  // Entries without a login are left behind by credential stores.
  return user === '' ? undefined : { kind: 'password', user, password: text('password') };
}
