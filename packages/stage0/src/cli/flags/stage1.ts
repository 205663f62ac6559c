// Which stage1 image runs the pod: one choice, six flags and a variable (contract stage0 8.8, 9.2). Pure.

import { RKT_STAGE1_IMAGE } from '@rkt/pod-layout/environment';

import { badValue } from '../errors.ts';
import type { Flag } from '../flag.ts';
import type { Stage1Choice } from '../requests.ts';

// The flag a choice came from: 'image' is --stage1-image.
function stage1Flag(
  kind: Stage1Choice['kind'],
  describe: string,
  placeholder: string,
): Flag<Stage1Choice | undefined> {
  return {
    type: 'string',
    describe,
    placeholder,
    initial: undefined,
    cell: 'stage1',
    ...(kind === 'path' || kind === 'image' ? { complete: 'file' as const } : {}),
    set: (previous, text) => {
      if (previous?.kind === kind) throw badValue(`--stage1-${kind} already used`);
      if (previous !== undefined) {
        throw badValue(`flags --stage1-${previous.kind} and --stage1-${kind} are mutually exclusive`);
      }
      if (text === '') throw badValue('the stage1 image is empty');
      return { kind, value: text };
    },
  };
}

type Stage1FlagName = `stage1-${Stage1Choice['kind']}`;

/** At most one of these may be given; all share one value. */
export const STAGE1_FLAGS: Readonly<Record<Stage1FlagName, Flag<Stage1Choice | undefined>>> = {
  'stage1-image': stage1Flag('image', 'Stage1 image: a path, URL, name or ID', 'IMAGE'),
  'stage1-path': stage1Flag('path', 'Stage1 image file', 'FILE'),
  'stage1-url': stage1Flag('url', 'URL of a stage1 image', 'URL'),
  'stage1-name': stage1Flag('name', 'Name of a stage1 image', 'NAME'),
  'stage1-hash': stage1Flag('hash', 'ID of a stage1 image in the store', 'ID'),
  'stage1-from-dir': stage1Flag('from-dir', 'Stage1 image file in the stage1 images directory', 'FILE'),
};

/** The choice of the flags, else that of the environment. */
export function stage1Choice(
  flags: Stage1Choice | undefined,
  env: Readonly<Record<string, string>>,
): { readonly stage1?: Stage1Choice } {
  if (flags !== undefined) return { stage1: flags };
  const value = env[RKT_STAGE1_IMAGE] ?? '';
  return value === '' ? {} : { stage1: { kind: 'image', value } };
}
