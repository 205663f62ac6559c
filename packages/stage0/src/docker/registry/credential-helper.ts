// Credential helpers: programs named `docker-credential-NAME` that know logins (docker-credential-helpers, `get`). Runs
// in stage0, and starts the helper as a child.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { printable, quote } from '@rkt/diagnostics/quote';
import { parseGoJson } from '@rkt/spec/go-json';

import { DockerError } from '../errors.ts';
import type { Login } from './credentials.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;
const TIMEOUT_MS = 60_000;
// What the helpers print when they have nothing; by their protocol.
const NOT_FOUND = 'credentials not found in native keychain';
// The user name that says that the secret is an identity token.
const TOKEN_USER = '<token>';

/** The login that helper `name` has for `server`, or undefined. @throws DockerError `credentials` */
export async function askHelper(
  name: string,
  server: string,
  env: Readonly<Record<string, string>>,
): Promise<Login | undefined> {
  const fail = (reason: string): never => {
    throw new DockerError('credentials', `credential helper ${quote(name)} ${reason}`);
  };
  // It becomes part of a program's name: no other directory.
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return fail('has a bad name');
  const { status, output } = await run(`docker-credential-${name}`, server, env).catch((error: Error) =>
    fail(`cannot be run: ${error.message}`),
  );
  if (status === null) return fail(`did not come to an end for ${server}`);
  if (status !== 0) {
    if (output.includes(NOT_FOUND)) return undefined;
    const message = printable(output.trim().split('\n')[0]?.slice(0, 200) ?? '');
    return fail(`failed for ${server}${message === '' ? '' : `: ${message}`}`);
  }
  let answer: { Username?: unknown; Secret?: unknown };
  try {
    answer = parseGoJson(output) as typeof answer;
  } catch {
    // Not shown: it may hold a password.
    return fail(`answered for ${server} what is not JSON`);
  }
  const { Username: user, Secret: secret } = answer ?? {};
  if (typeof user !== 'string' || typeof secret !== 'string')
    return fail(`answered for ${server} without a login`);
  if (user === '' && secret === '') return undefined;
  return user === TOKEN_USER
    ? { kind: 'identity-token', token: secret }
    : { kind: 'password', user, password: secret };
}

async function run(
  program: string,
  input: string,
  env: Readonly<Record<string, string>>,
): Promise<{ status: number | null; output: string }> {
  const child = spawn(program, ['get'], {
    env: { ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    timeout: TIMEOUT_MS,
  });
  const exit = once(child, 'close') as Promise<[number | null]>;
  // A helper that does not read its input is told by its exit status.
  child.stdin.on('error', () => undefined);
  child.stdin.end(`${input}\n`);
  const chunks: Buffer[] = [];
  let length = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= MAX_ANSWER_BYTES) return void chunks.push(chunk);
    child.kill('SIGKILL');
    // Its own children may hold the other end.
    child.stdout.destroy();
  });
  const [status] = await exit;
  return { status, output: Buffer.concat(chunks).toString('utf8') };
}
