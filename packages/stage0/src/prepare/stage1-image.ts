// Which image a pod's stage1 comes from (contract stage0 8.8, 9.2). Runs in stage0.

import path from 'node:path';

import { RktError, wrap } from '@rkt/diagnostics/rkt-error';
import { quote } from '@rkt/diagnostics/quote';
import { writeStderr } from '@rkt/diagnostics/logger';
import type { ImageKey } from '@rkt/spec/image-id';

import { buildInfo } from '../build-info.ts';
import type { Stage1Choice } from '../cli/requests.ts';
import type { Config } from '../config/load.ts';
import { type FetchContext, findImage } from '../fetch/finder.ts';
import { PrepareError } from './errors.ts';

/** Where the default stage1 comes from once configuration has had its say. */
interface Stage1Default {
  /** Store key of the image this rkt was built with; only when nothing else is configured. */
  readonly key: ImageKey | undefined;
  /** `name:version`, looked up in the store only. */
  readonly reference: string;
  /** Absolute path or URL; may be empty. */
  readonly location: string;
  /** File to try beside the executable; may be empty. */
  readonly fileName: string;
}

/** What selection needs to know of its surroundings. */
export interface Stage1Surroundings {
  readonly fetch: FetchContext;
  readonly config: Config;
  /** Directory of the running rkt executable. */
  readonly executableDir: string;
}

/**
 * The stage1 image: exactly what was asked for, or else the default from the store, its location, or the file beside
 * the executable.
 * @throws PrepareError `stage1-image`, or what fetching threw.
 */
export async function findStage1Image(
  choice: Stage1Choice | undefined,
  surroundings: Stage1Surroundings,
): Promise<ImageKey> {
  return choice === undefined ? findDefault(surroundings) : findChosen(choice, surroundings);
}

async function findChosen(
  choice: Stage1Choice,
  { fetch, config, executableDir }: Stage1Surroundings,
): Promise<ImageKey> {
  const imagesDir = config.paths.stage1Images || buildInfo.stage1ImagesDir;
  const argument = choice.kind === 'from-dir' ? path.join(imagesDir, choice.value) : choice.value;
  const trusted =
    choice.kind === 'url' || choice.kind === 'path' || choice.kind === 'from-dir'
      ? isTrustedLocation(argument, imagesDir, executableDir)
      : choice.kind === 'image' &&
        argument.endsWith('.aci') &&
        isTrustedLocation(argument, imagesDir, executableDir);
  try {
    return await findImage(trusted ? withoutVerification(fetch) : fetch, argument, {
      pullPolicy: 'new',
      dependencies: false,
    });
  } catch (cause) {
    const flag = choice.kind === 'image' ? 'error finding' : 'failed to fetch';
    throw wrap(`${flag} stage1 image ${quote(choice.value)}`, cause);
  }
}

// Images that came with this rkt are as trustworthy as the rkt that is running.
function isTrustedLocation(location: string, imagesDir: string, executableDir: string): boolean {
  if (/^[a-z]+:\/\//i.test(location)) return location === buildInfo.stage1Location && location !== '';
  const absolute = path.resolve(location);
  const relative = path.relative(imagesDir, absolute);
  if (path.dirname(absolute) === executableDir) return true;
  return absolute === buildInfo.stage1Location || (!relative.startsWith('..') && relative !== '');
}

async function findDefault({ fetch, config, executableDir }: Stage1Surroundings): Promise<ImageKey> {
  const wanted = stage1Default(config);
  const stored = await findStored(wanted, fetch);
  if (stored !== undefined) return stored;
  if (wanted.location === '' && wanted.fileName === '') {
    throw new PrepareError(
      'stage1-image',
      'neither the location of the default stage1 image nor its filename are set, use --stage1-{path,url,name,hash,from-dir} flag',
    );
  }
  const attempts: (readonly [FetchContext, string])[] = [];
  if (wanted.location !== '') {
    const ours = wanted.location === buildInfo.stage1Location;
    attempts.push([ours ? withoutVerification(fetch) : fetch, wanted.location]);
  }
  if (wanted.fileName !== '' && !/^[a-z]+:\/\//i.test(wanted.location)) {
    attempts.push([withoutVerification(fetch), path.join(executableDir, wanted.fileName)]);
  }
  let failure: unknown;
  for (const [context, argument] of attempts) {
    try {
      return await findImage(context, argument, { pullPolicy: 'new', dependencies: false });
    } catch (error) {
      failure = error;
    }
  }
  const tried = attempts.map(([, argument]) => quote(argument)).join(', ');
  throw wrap(
    'failed to fetch stage1 image',
    new RktError('stage1-image', `no stage1 image in the store nor at ${tried}: ${innermost(failure)}`, {
      hint: 'name one with --stage1-image',
    }),
  );
}

async function findStored(wanted: Stage1Default, fetch: FetchContext): Promise<ImageKey | undefined> {
  if (wanted.key !== undefined && fetch.store.hasKey(wanted.key)) return wanted.key;
  // An image that was built from an uncommitted tree changes without its version changing.
  if (wanted.key !== undefined || wanted.reference.endsWith('-dirty')) return undefined;
  try {
    return await findImage(fetch, wanted.reference, { pullPolicy: 'never', dependencies: false });
  } catch (error) {
    if (fetch.debug) writeStderr(`image: default stage1 image is not in the store: ${innermost(error)}\n`);
    return undefined;
  }
}

function stage1Default({ stage1 }: Config): Stage1Default {
  const named = stage1.name !== '' && stage1.version !== '';
  return {
    key: named || stage1.location !== '' ? undefined : (buildInfo.stage1Key as ImageKey | undefined),
    reference: named
      ? `${stage1.name}:${stage1.version}`
      : `${buildInfo.stage1Name}:${buildInfo.stage1Version}`,
    location: stage1.location || buildInfo.stage1Location,
    fileName: stage1.location === '' ? buildInfo.stage1FileName : path.basename(stage1.location),
  };
}

function withoutVerification(fetch: FetchContext): FetchContext {
  return { ...fetch, insecure: { ...fetch.insecure, image: true }, keystore: undefined };
}

function innermost(error: unknown): string {
  let link = error;
  while (link instanceof Error && link.cause !== undefined) link = link.cause;
  return link instanceof Error ? link.message : String(link);
}
