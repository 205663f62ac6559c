// Tokens of token servers (distribution specification, token authentication; OAuth2 with refresh tokens). Runs in
// stage0.

import type { DockerCredentials } from '../../config/config.ts';
import { type HttpOptions, httpRequest, readBody, shownUrl } from '../../fetch/http.ts';
import { DockerError } from '../errors.ts';
import { parseFields } from '../json-fields.ts';
import type { Challenge } from './challenge.ts';
import type { Login } from './credentials.ts';
import { statusError } from './status-error.ts';
import { belongsTo, parseRealm } from './trusted-realm.ts';

const MAX_ANSWER_BYTES = 1024 * 1024;
const CLIENT_ID = 'rkt';

/** What a token is asked for with. */
export interface TokenRequest {
  /** The registry that sent the challenge. */
  readonly registry: URL;
  readonly repository: string;
  readonly login: Login | undefined;
  /** Logins of token servers that no registry may name, unless the user did. */
  readonly dockerAuth: ReadonlyMap<string, DockerCredentials>;
  readonly allowHttp: boolean;
  /** With what the registry may name. */
  readonly http: HttpOptions;
}

/**
 * A token to pull `repository`. The login goes to a token server that belongs to the registry, or that is configured by
 * its own name; every other one is asked as a stranger.
 * @throws DockerError `unauthorized`, `registry`; FetchError
 */
export async function requestToken({ parameters }: Challenge, request: TokenRequest): Promise<string> {
  const { registry, repository, allowHttp, dockerAuth } = request;
  const realm = parseRealm(parameters.get('realm') ?? '', registry, allowHttp);
  const configured = dockerAuth.get(realm.host);
  const withheld = request.login !== undefined && configured === undefined && !belongsTo(realm, registry);
  const login: Login | undefined =
    configured === undefined ? (withheld ? undefined : request.login) : { kind: 'password', ...configured };
  const query = new URLSearchParams(realm.search);
  const service = parameters.get('service');
  if (service !== undefined) query.set('service', service);
  // Ours, whatever scope the registry names: no token may do more than pull.
  query.set('scope', `repository:${repository}:pull`);
  // Certificates are those of the registry's own host.
  const { tls, ...others } = request.http;
  const http = tls !== undefined && realm.host === registry.host ? { ...others, tls } : others;
  const response =
    login?.kind === 'identity-token'
      ? await exchange(realm, query, login.token, http)
      : await ask(realm, query, login, http);
  if (response.status === 401 || response.status === 403) {
    response.body.destroy();
    throw new DockerError('unauthorized', 'unable to retrieve auth token: 401 unauthorized', {
      hint: withheld ? withheldHint(realm, registry) : loginHint(registry),
    });
  }
  if (response.status !== 200) throw await statusError(response, realm);
  return readToken(await readBody(response, realm, MAX_ANSWER_BYTES), realm);
}

function ask(
  realm: URL,
  query: URLSearchParams,
  login: Login | undefined,
  http: HttpOptions,
): ReturnType<typeof httpRequest> {
  const url = new URL(realm);
  url.search = query.toString();
  return httpRequest(url, {
    ...http,
    login: login?.kind === 'password' ? { Authorization: basicAuthorization(login) } : {},
  });
}

function exchange(
  realm: URL,
  query: URLSearchParams,
  token: string,
  http: HttpOptions,
): ReturnType<typeof httpRequest> {
  const form = new URLSearchParams(query);
  form.set('grant_type', 'refresh_token');
  form.set('client_id', CLIENT_ID);
  form.set('refresh_token', token);
  const url = new URL(realm);
  url.search = '';
  return httpRequest(url, { ...http, login: {}, method: 'POST', form });
}

function readToken(body: Buffer, realm: URL): string {
  const where = `answer of token server ${shownUrl(realm)}`;
  const answer = parseFields(body, where);
  const token = answer.text('token') || answer.text('access_token');
  // It becomes a header.
  if (!/^[\x21-\x7e]+$/.test(token)) throw new DockerError('registry', `${where} has no token`);
  return token;
}

/** The value of an Authorization header. */
export function basicAuthorization({ user, password }: DockerCredentials): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** What to do when a registry wants to know who we are. */
export function loginHint({ host }: URL): string {
  return `give a login for ${host} in a file of kind dockerAuth below /etc/rkt/auth.d, or by docker login`;
}

function withheldHint(realm: URL, registry: URL): string {
  return `the login of ${registry.host} was not sent to ${realm.host}, which is another's host; to log in there, name ${realm.host} in a file of kind dockerAuth`;
}
