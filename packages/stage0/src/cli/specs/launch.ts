// Commands that read images and make pods: run, prepare, run-prepared, fetch. Runs in stage0.

import { command, type CommandSpec } from '../command.ts';
import { booleanFlag, fileFlag } from '../flag-types.ts';
import { APP_FLAGS, buildAppRequest, present, signatureFlag } from '../flags/app.ts';
import { buildLaunchFlags, LAUNCH_FLAGS } from '../flags/launch.ts';
import { buildLimits, LIMIT_FLAGS } from '../flags/limits.ts';
import { buildPodFlags, checkMounts, POD_FLAGS, pullFlags, pullPolicy } from '../flags/pod.ts';
import type { FetchFlags, PrepareFlags, RunFlags, RunPreparedFlags } from '../requests.ts';

const IMAGE_FORMS =
  'An IMAGE is a file (./web.aci), a URL (https://example.com/web.aci), a name (example.com/web:1.0) or an ID (sha512-...).';
const APP_ARGUMENTS =
  'What follows -- is given to the app as arguments; --- ends them, and another image may follow. Flags of an image stand behind it.';

/** rkt run */
export const run: CommandSpec = command({
  usage: ['run [--volume=...] [--mount ...] IMAGE [-- image-args...[---]]...'],
  description: [
    'Makes a pod of the images, one app each, runs it, and ends with its exit status.',
    IMAGE_FORMS,
    APP_ARGUMENTS,
  ],
  examples: [
    ['run ./web.aci', 'run one image'],
    ['run ./web.aci --memory=64M -- --port 80 --- ./db.aci', 'two apps, one with a limit and arguments'],
    ['run --volume=data,kind=host,source=/srv ./web.aci --mount=volume=data,target=/data', 'share /srv'],
    ['run --interactive ./debian.aci --exec=/bin/sh', 'a shell'],
  ],
  grammar: 'images',
  needsRoot: true,
  words: ['image-or-file'],
  flags: {
    ...POD_FLAGS,
    ...LAUNCH_FLAGS,
    'uuid-file-save': fileFlag('File to write the UUID of the pod to'),
  },
  imageFlags: APP_FLAGS,
  imageContext: 'error parsing app image arguments',
  build: (values, env): RunFlags => ({
    ...buildPodFlags(values, false, env),
    ...buildLaunchFlags(values),
    ...present({ uuidFileSave: values['uuid-file-save'] }),
  }),
  buildImage: buildAppRequest,
  checkImages: checkMounts,
  load: () => import('../../commands/run.ts'),
});

/** rkt prepare */
export const prepare: CommandSpec = command({
  usage: ['prepare [--volume=...] [--mount ...] IMAGE [-- image-args...[---]]...'],
  description: [
    'Makes a pod of the images without running it, and prints its UUID. Start it with rkt run-prepared.',
    IMAGE_FORMS,
    APP_ARGUMENTS,
  ],
  examples: [['prepare --quiet ./web.aci', 'print nothing but the UUID']],
  grammar: 'images',
  needsRoot: true,
  words: ['image-or-file'],
  flags: { ...POD_FLAGS, quiet: booleanFlag('Print nothing but the UUID') },
  imageFlags: APP_FLAGS,
  imageContext: 'error parsing app image arguments',
  build: (values, env): PrepareFlags => buildPodFlags(values, values.quiet, env),
  buildImage: buildAppRequest,
  checkImages: checkMounts,
  load: () => import('../../commands/prepare.ts'),
});

/** rkt run-prepared */
export const runPrepared: CommandSpec = command({
  usage: ['run-prepared UUID'],
  description: ['Runs a pod that rkt prepare made, and ends with its exit status.'],
  needsRoot: true,
  words: ['prepared-pod'],
  flags: LAUNCH_FLAGS,
  build: (values): RunPreparedFlags => buildLaunchFlags(values),
  acceptsWords: (words) => words.length === 1,
  load: () => import('../../commands/run-prepared.ts'),
});

/** rkt fetch, also rkt image fetch */
export const fetch: CommandSpec = command({
  usage: ['fetch IMAGE_URL...'],
  description: ['Puts images into the store, with their dependencies, and prints their IDs.', IMAGE_FORMS],
  examples: [
    ['fetch ./web.aci --signature=./web.aci.asc', 'a file and its signature'],
    ['--insecure-options=image fetch https://example.com/web.aci', 'without checking a signature'],
  ],
  grammar: 'images',
  words: ['file'],
  flags: { full: booleanFlag('Print whole IDs'), ...pullFlags('update'), ...LIMIT_FLAGS },
  imageFlags: { signature: signatureFlag },
  refuseAppArguments: true,
  imageContext: 'unable to parse arguments',
  build: (values): FetchFlags => ({
    full: values.full,
    pullPolicy: pullPolicy(values, 'update'),
    storeOnly: values['store-only'],
    noStore: values['no-store'],
    limits: buildLimits(values),
  }),
  buildImage: (image, args, { signature }) => ({
    image,
    args,
    mounts: [],
    annotations: {},
    userAnnotations: {},
    userLabels: {},
    environment: {},
    ...present({ signature }),
  }),
  load: () => import('../../commands/fetch.ts'),
});
