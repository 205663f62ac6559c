// What pods may ask (contract stage1 6.4; App Container Specification, "Metadata Service"). A request carries its pod's
// token as the first element of the path. Runs in the metadata service.

import { quote } from '@rkt/diagnostics/quote';
import { METADATA_API_PREFIX } from '@rkt/pod-layout/metadata-service';
import { parseAcIdentifier, sameName } from '@rkt/spec/ac-identifier';
import { parseAcName } from '@rkt/spec/ac-name';
import { type Annotation, Annotations, annotationValue } from '@rkt/spec/annotations';
import { SpecError } from '@rkt/spec/errors';
import { stringifyGoJson } from '@rkt/spec/go-json';
import { ImageManifest } from '@rkt/spec/image-manifest';
import { PodManifest, type RuntimeApp } from '@rkt/spec/pod-manifest';
import { parseUuid } from '@rkt/spec/uuid';

import type { Api, ApiRequest, Reply } from './api-server.ts';
import { Refusal } from './errors.ts';
import type { RegisteredPod, Registry } from './registry.ts';
import { readForm } from './request-body.ts';
import { findRoute, type Route } from './routes.ts';
import type { Signer } from './signer.ts';

/** Byte for byte what the standard's validator wants. */
const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=us-ascii';

const MAX_FORM_BYTES = 1024 * 1024;

interface Context {
  readonly pod: RegisteredPod;
  readonly signer: Signer;
}

const ROUTES: readonly Route<Context>[] = [
  { method: 'GET', path: /^\/pod\/annotations$/, answer: podAnnotations },
  { method: 'GET', path: /^\/pod\/annotations\/(.*)$/s, answer: podAnnotation },
  { method: 'GET', path: /^\/pod\/manifest$/, answer: ({ pod }) => json(PodManifest.encode(pod.manifest)) },
  { method: 'GET', path: /^\/pod\/uuid$/, answer: ({ pod }) => text(pod.uuid) },
  // Names of annotations have slashes, and may end like other paths: this one comes first.
  { method: 'GET', path: /^\/apps\/(.+?)\/annotations\/(.*)$/s, answer: appAnnotation },
  { method: 'GET', path: /^\/apps\/(.+?)\/annotations$/s, answer: appAnnotations },
  { method: 'GET', path: /^\/apps\/(.+)\/image\/manifest$/s, answer: appImageManifest },
  { method: 'GET', path: /^\/apps\/(.+)\/image\/id$/s, answer: appImageId },
  { method: 'POST', path: /^\/pod\/hmac\/sign$/, answer: sign },
  { method: 'POST', path: /^\/pod\/hmac\/verify$/, answer: verify },
];

/** The API for pods. */
export function publicApi(registry: Registry, signer: Signer): Api {
  return {
    async answer(request) {
      const { token, rest } = splitToken(request.path);
      const { answer, words } = findRoute(ROUTES, request.method, rest);
      const pod = registry.open(token);
      if (pod === undefined) throw new Refusal(401, 'unknown token');
      return await answer({ pod, signer }, words, request);
    },
    shownPath(path) {
      // Anything else may have the token anywhere.
      if (!path.startsWith('/')) return '/unknown';
      const [, token = '', ...rest] = path.split('/');
      const who = registry.open(token)?.uuid ?? 'unknown';
      return ['', who, ...rest].join('/');
    },
  };
}

function splitToken(path: string): { readonly token: string; readonly rest: string } {
  const end = path.indexOf('/', 1);
  const prefixed = end < 0 ? '' : path.slice(end);
  if (!path.startsWith('/') || !prefixed.startsWith(`${METADATA_API_PREFIX}/`)) {
    throw new Refusal(404, `paths begin with /TOKEN${METADATA_API_PREFIX}/`);
  }
  return { token: path.slice(1, end), rest: prefixed.slice(METADATA_API_PREFIX.length) };
}

function podAnnotations({ pod }: Context): Reply {
  // As the manifest has it: null and [] are different there.
  return json((PodManifest.encode(pod.manifest) as { readonly annotations: unknown }).annotations);
}

function podAnnotation({ pod }: Context, [word = '']: readonly string[]): Reply {
  const name = valid(() => parseAcIdentifier(word));
  const value = annotationValue(pod.manifest.annotations, name);
  if (value === undefined) throw new Refusal(404, `Pod annotation ${quote(name)} not found`);
  return text(value);
}

function appAnnotations({ pod }: Context, [word = '']: readonly string[]): Reply {
  return json(Annotations.encode(annotationsOf(pod, word)));
}

function appAnnotation({ pod }: Context, [word = '', annotation = '']: readonly string[]): Reply {
  const annotations = annotationsOf(pod, word);
  const name = valid(() => parseAcIdentifier(annotation));
  const value = annotationValue(annotations, name);
  if (value === undefined) throw new Refusal(404, `App annotation ${quote(name)} not found`);
  return text(value);
}

function appImageManifest({ pod }: Context, [word = '']: readonly string[]): Reply {
  return json(ImageManifest.encode(findApp(pod, word).image));
}

function appImageId({ pod }: Context, [word = '']: readonly string[]): Reply {
  return text(findApp(pod, word).runtimeApp.image.id);
}

async function sign(
  { pod, signer }: Context,
  _words: readonly string[],
  request: ApiRequest,
): Promise<Reply> {
  const form = await readForm(request.message, MAX_FORM_BYTES);
  return text(signer.sign(pod.uuid, field(form, 'content')).toString('base64'));
}

async function verify({ signer }: Context, _words: readonly string[], request: ApiRequest): Promise<Reply> {
  const form = await readForm(request.message, MAX_FORM_BYTES);
  const uuid = valid(() => parseUuid(field(form, 'uuid').toString('utf8')));
  const content = field(form, 'content');
  const signature = parseBase64(field(form, 'signature').toString('latin1'));
  return { status: signer.verify(uuid, content, signature) ? 200 : 403, type: TEXT_TYPE, body: '' };
}

// The image's annotations in their order; those of the app take the place of the same names, or follow.
function annotationsOf(pod: RegisteredPod, word: string): readonly Annotation[] {
  const { runtimeApp, image } = findApp(
    pod,
    valid(() => parseAcName(word)),
  );
  const merged = [...(image.annotations ?? [])];
  for (const annotation of runtimeApp.annotations ?? []) {
    const index = merged.findIndex(({ name }) => sameName(name, annotation.name));
    if (index < 0) merged.push(annotation);
    else merged[index] = annotation;
  }
  return merged;
}

function findApp(
  { manifest, images }: RegisteredPod,
  name: string,
): { readonly runtimeApp: RuntimeApp; readonly image: ImageManifest } {
  const runtimeApp = manifest.apps.find((app) => app.name === name);
  const image = images.get(name);
  if (runtimeApp === undefined || image === undefined) throw new Refusal(404, 'app not found');
  return { runtimeApp, image };
}

function field(form: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const value = form.get(name);
  if (value === undefined || value.length === 0) throw new Refusal(400, `${name} form value not found`);
  return value;
}

function parseBase64(word: string): Buffer {
  const bytes = Buffer.from(word, 'base64');
  // Buffer takes anything; only the padded standard form comes back the same.
  if (bytes.toString('base64') !== word) throw new Refusal(400, 'signature is not base64');
  return bytes;
}

function valid<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof SpecError) throw new Refusal(400, error.message);
    throw error;
  }
}

function json(value: unknown): Reply {
  return { status: 200, type: JSON_TYPE, body: `${stringifyGoJson(value)}\n` };
}

function text(value: string): Reply {
  return { status: 200, type: TEXT_TYPE, body: value };
}
