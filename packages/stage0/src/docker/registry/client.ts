// A registry that speaks version 2 of the protocol (OCI distribution specification; contract stage0 5.3). Runs in
// stage0.

import { setTimeout as delay } from 'node:timers/promises';

import { hasCode } from '@rkt/diagnostics/rkt-error';

import {
  type HttpOptions,
  httpRequest,
  type HttpResponse,
  type HttpTimes,
  type TlsFiles,
} from '../../fetch/http.ts';
import type { Nearness } from '../../fetch/local-address.ts';
import { DockerError } from '../errors.ts';
import { bareType } from '../media-types.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { type CredentialSources, findLogin, type Login } from './credentials.ts';
import type { Endpoint } from './endpoint.ts';
import { MAX_RETRIES, RETRIED_STATUS, retryDelayMs } from './retry.ts';
import { statusError } from './status-error.ts';
import { readTlsFiles } from './tls-files.ts';
import { basicAuthorization, loginHint, requestToken } from './token.ts';

/** On whose terms registries are asked. */
export interface RegistryOptions extends CredentialSources {
  readonly insecure: { readonly http: boolean; readonly tls: boolean };
  /** Authorization headers by host and repository, for all images of one command. */
  readonly authorizations: Map<string, string>;
  /** Instead of {@link CERTIFICATE_DIRECTORIES}. */
  readonly certificateDirectories?: readonly string[];
  /** Ends what is being asked. */
  readonly signal?: AbortSignal;
  readonly times?: Partial<HttpTimes>;
  /** Waits before a retry. */
  readonly wait?: (ms: number) => Promise<unknown>;
}

const API_VERSION = 'registry/2.0';

/**
 * Finds out how the registry is reached. Undefined: there is a server, but it does not speak version 2.
 * @throws FetchError when there is no server, DockerError
 */
export async function connect(
  endpoint: Endpoint,
  options: RegistryOptions,
): Promise<RegistryClient | undefined> {
  const tls = readTlsFiles(endpoint.host, options.certificateDirectories);
  let failure: unknown;
  for (const scheme of schemesOf(endpoint, options)) {
    const client = new RegistryClient(endpoint, new URL(`${scheme}://${endpoint.host}/v2/`), options, tls);
    try {
      return (await client.speaksVersion2()) ? client : undefined;
    } catch (error) {
      // Whoever answers is asked no other way: http would show a login to everybody.
      if (!hasCode(error, 'network')) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

function schemesOf({ host, scheme }: Endpoint, { insecure }: RegistryOptions): string[] {
  if (scheme === 'https') return insecure.http ? ['https', 'http'] : ['https'];
  if (insecure.http) return ['http'];
  throw new DockerError('registry', `mirror ${host} is configured without https`, {
    hint: 'use --insecure-options=http to allow it',
  });
}

/** One repository of a registry. */
export class RegistryClient {
  readonly endpoint: Endpoint;
  /** `https://HOST/v2/`. */
  readonly #base: URL;
  readonly #options: RegistryOptions;
  readonly #tls: TlsFiles | undefined;
  #login: Promise<Login | undefined> | undefined;

  constructor(endpoint: Endpoint, base: URL, options: RegistryOptions, tls: TlsFiles | undefined) {
    this.endpoint = endpoint;
    this.#base = base;
    this.#options = options;
    this.#tls = tls;
  }

  /** URL of something below `/v2/REPOSITORY/`. */
  url(path: string): URL {
    return new URL(`${this.endpoint.repository}/${path}`, this.#base);
  }

  /** Asks for the root of the API, and keeps the challenge that comes back. */
  async speaksVersion2(): Promise<boolean> {
    const response = await this.#send(this.#base, {});
    response.body.destroy();
    const { status } = response;
    if (RETRIED_STATUS.has(status)) throw await statusError(response, this.#base);
    const version = response.header('docker-distribution-api-version') ?? '';
    const named = version.split(/[\s,]+/).includes(API_VERSION);
    if (status === 401) {
      const challenges = parseChallenges(response.header('www-authenticate') ?? '');
      if (!named && challenges.length === 0) return false;
      if (!this.#options.authorizations.has(this.#key)) await this.#authorize(challenges, response.server);
      return true;
    }
    // Some leave the header out; a web site says something else than JSON.
    return status === 200 && (named || bareType(response.header('content-type')) === 'application/json');
  }

  /**
   * GET below `/v2/REPOSITORY/`, with a login where the registry wants one.
   * @throws DockerError for every status but 200 and 206; FetchError
   */
  async get(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<HttpResponse> {
    const url = this.url(path);
    let response = await this.#send(url, headers, signal);
    if (response.status === 401) {
      response.body.destroy();
      // The token may have expired; what the registry refuses twice, it refuses.
      await this.#authorize(parseChallenges(response.header('www-authenticate') ?? ''), response.server);
      response = await this.#send(url, headers, signal);
    }
    if (response.status === 200 || response.status === 206) return response;
    const error = await statusError(response, url);
    throw error.code === 'unauthorized'
      ? new DockerError('unauthorized', error.message, { hint: loginHint(this.#base) })
      : error;
  }

  get #key(): string {
    return `${this.#base.origin} ${this.endpoint.repository}`;
  }

  get #http(): HttpOptions {
    const { insecure, env, signal, times } = this.#options;
    return {
      insecureTls: insecure.tls,
      login: {},
      env,
      ...(signal !== undefined && { signal }),
      ...(times !== undefined && { times }),
      ...(this.#tls !== undefined && { tls: this.#tls }),
    };
  }

  async #send(
    url: URL,
    headers: Readonly<Record<string, string>>,
    signal?: AbortSignal,
  ): Promise<HttpResponse> {
    const http = { ...this.#http, ...(signal !== undefined && { signal }) };
    for (let retry = 1; ; retry += 1) {
      const authorization = this.#options.authorizations.get(this.#key);
      const login = authorization === undefined ? {} : { Authorization: authorization };
      // Some registries redirect to themselves, to storage of theirs that asks for the same login.
      const response = await httpRequest(url, { ...http, headers, login, loginFollows: true });
      if (!RETRIED_STATUS.has(response.status) || retry > MAX_RETRIES) return response;
      response.body.destroy();
      await (this.#options.wait ?? delay)(retryDelayMs(response.header('retry-after'), retry));
    }
  }

  async #authorize(challenges: readonly Challenge[], server: Nearness): Promise<void> {
    this.#options.authorizations.set(this.#key, await this.#authorization(challenges, server));
  }

  async #authorization(challenges: readonly Challenge[], server: Nearness): Promise<string> {
    this.#login ??= findLogin(this.endpoint.host, this.endpoint.repository, this.#options);
    const login = await this.#login;
    if (login?.kind === 'registry-token') return `Bearer ${login.token}`;
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer !== undefined) {
      const { dockerAuth, insecure } = this.#options;
      const token = await requestToken(bearer, {
        registry: this.#base,
        repository: this.endpoint.repository,
        login,
        dockerAuth,
        allowHttp: insecure.http,
        http: { ...this.#http, namedBy: server },
      });
      return `Bearer ${token}`;
    }
    if (challenges.some(({ scheme }) => scheme === 'basic') && login?.kind === 'password') {
      return basicAuthorization(login);
    }
    const offered = challenges.map(({ scheme }) => scheme).join(', ');
    throw new DockerError(
      'unauthorized',
      `${this.#base.host} wants a login${login === undefined ? '' : `, but not of the kind there is (it offers ${offered})`}`,
      { hint: loginHint(this.#base) },
    );
  }
}
