// How stage0 tells about pods, over the unix socket that only root may connect to (contract stage1 6.2).
// Runs in the metadata service.

import { isAbsolute } from 'node:path';

import { dataDir } from '@rkt/pod-layout/data-dir';
import { SpecError } from '@rkt/spec/errors';
import { parseImageManifest } from '@rkt/spec/image-manifest';
import { parsePodManifest } from '@rkt/spec/pod-manifest';
import { parseUuid, type Uuid } from '@rkt/spec/uuid';

import type { Api, ApiRequest, Reply } from './api-server.ts';
import { Refusal } from './errors.ts';
import type { Registry } from './registry.ts';
import { readBody } from './request-body.ts';
import { findRoute, type Route } from './routes.ts';

const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

/** How pods reach the service: the answer to whoever registers one. */
export interface Reach {
  readonly port: number;
  /** Undefined: at the host's address in the pod's network. */
  readonly address?: string | undefined;
}

interface Context {
  readonly registry: Registry;
  readonly reach: Reach;
}

const ROUTES: readonly Route<Context>[] = [
  { method: 'PUT', path: /^\/pods\/([^/]*)$/, answer: putPod },
  { method: 'DELETE', path: /^\/pods\/([^/]*)$/, answer: deletePod },
  { method: 'PUT', path: /^\/pods\/([^/]*)\/(.*)$/s, answer: putApp },
];

/** The API for stage0. */
export function registrationApi(registry: Registry, reach: () => Reach): Api {
  return {
    async answer(request) {
      const { answer, words } = findRoute(ROUTES, request.method, request.path);
      return await answer({ registry, reach: reach() }, words, request);
    },
    shownPath: (path) => path,
  };
}

// PUT /pods/UUID?token=T[&data=DIRECTORY]
async function putPod(
  { registry, reach }: Context,
  [word = '']: readonly string[],
  { query, message }: ApiRequest,
): Promise<Reply> {
  const uuid = podUuid(word);
  const token = query.get('token') ?? '';
  if (token === '') throw new Refusal(400, 'token missing');
  const data = query.get('data') ?? '';
  if (data !== '' && !isAbsolute(data)) throw new Refusal(400, 'data is not an absolute path');
  const manifest = decoded(parsePodManifest, await readBody(message, MAX_MANIFEST_BYTES));
  const pod = { uuid, manifest, data: data === '' ? undefined : dataDir(data) };
  if (!registry.add(pod, token)) throw new Refusal(409, 'token belongs to another pod');
  return ok(JSON.stringify(reach));
}

// PUT /pods/UUID/APP
async function putApp(
  { registry }: Context,
  [word = '', app = '']: readonly string[],
  { message }: ApiRequest,
): Promise<Reply> {
  const uuid = podUuid(word);
  if (app === '') throw new Refusal(400, 'app missing');
  const image = decoded(parseImageManifest, await readBody(message, MAX_MANIFEST_BYTES));
  if (!registry.addImage(uuid, app, image)) throw new Refusal(404, 'Pod with given UUID not found');
  return ok('');
}

function deletePod({ registry }: Context, [word = '']: readonly string[]): Reply {
  if (!registry.remove(podUuid(word))) throw new Refusal(404, 'pod not found');
  return ok('');
}

function podUuid(word: string): Uuid {
  try {
    return parseUuid(word);
  } catch (error) {
    if (error instanceof SpecError) throw new Refusal(400, `UUID is missing or malformed: ${error.message}`);
    throw error;
  }
}

function decoded<Manifest>(parse: (text: string) => Manifest, body: Buffer): Manifest {
  try {
    return parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SpecError) throw new Refusal(400, `JSON-decoding failed: ${error.message}`);
    throw error;
  }
}

function ok(body: string): Reply {
  return { status: 200, type: 'application/json', body };
}
