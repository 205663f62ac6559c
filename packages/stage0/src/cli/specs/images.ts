// The commands of `rkt image` (contract stage0 7.8-7.15). Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';

import { command, type CommandSpec } from '../command.ts';
import { badValue } from '../errors.ts';
import type { Flag } from '../flag.ts';
import { booleanFlag, choiceFlag, durationFlag } from '../flag-types.ts';
import { formatFlag, parseFormat } from '../flags/format.ts';
import type {
  ImageCatManifestFlags,
  ImageExportFlags,
  ImageExtractFlags,
  ImageFsckFlags,
  ImageGcFlags,
  ImageListField,
  ImageListFlags,
  NoFlags,
} from '../requests.ts';

const IMAGES = 'An image is named by its ID, which may be cut short, or by its name.';

// A comma list of words, any case, none twice; the last occurrence of the flag counts.
function wordsFlag<Word extends string>(
  describe: string,
  words: readonly Word[],
  initial: readonly Word[],
): Flag<readonly Word[]> {
  return {
    type: 'string',
    describe: `${describe}: ${words.join(', ')}`,
    placeholder: 'LIST',
    initial,
    defaultDescription: initial.join(','),
    complete: words,
    set: (_previous, text) => {
      const found: Word[] = [];
      for (const item of text.split(',')) {
        const word = words.find((candidate) => candidate === item.toLowerCase());
        if (word === undefined) throw badValue(`unknown option ${quote(item)}`);
        if (found.includes(word)) throw badValue(`duplicated option ${quote(item)}`);
        found.push(word);
      }
      return found;
    },
  };
}

const FIELDS: readonly ImageListField[] = ['id', 'name', 'size', 'importtime', 'lastused'];
type SortField = ImageListFlags['sort'][number];
const SORT_FIELDS: readonly SortField[] = ['name', 'importtime', 'lastused', 'size'];

/** rkt image list */
export const list: CommandSpec = command({
  usage: ['image list'],
  description: ['Lists the images in the store.'],
  examples: [['image list --sort=size --order=desc', 'the largest first']],
  flags: {
    fields: wordsFlag('Columns to print', FIELDS, FIELDS),
    sort: wordsFlag('What to sort by', SORT_FIELDS, ['importtime'] as readonly SortField[]),
    order: choiceFlag('Order of the rows', ['asc', 'desc'] as const, 'asc', () => 'wrong sort order'),
    'no-legend': booleanFlag('Leave out the header'),
    full: booleanFlag('Print whole IDs, sizes in bytes and exact times'),
    format: formatFlag,
  },
  build: (values): ImageListFlags => ({
    fields: values.fields,
    sort: values.sort,
    order: values.order,
    noLegend: values['no-legend'],
    full: values.full,
    format: parseFormat(values.format),
  }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/image/list.ts'),
});

/** rkt image rm */
export const rm: CommandSpec = command({
  usage: ['image rm IMAGE...'],
  description: ['Deletes images from the store. Pods made of them keep working.', IMAGES],
  words: ['image'],
  flags: {},
  build: (): NoFlags => ({}),
  load: () => import('../../commands/image/rm.ts'),
});

/** rkt image gc */
export const gc: CommandSpec = command({
  usage: ['image gc'],
  description: [
    'Deletes images that no running pod uses and nobody used for the grace period, and what was unpacked for pods that are gone.',
  ],
  flags: { 'grace-period': durationFlag('How long an image is kept after its last use', '24h0m0s') },
  build: (values): ImageGcFlags => ({ gracePeriodMs: values['grace-period'] }),
  acceptsWords: (words) => words.length === 0,
  load: () => import('../../commands/image/gc.ts'),
});

/** rkt image export */
export const exportImage: CommandSpec = command({
  usage: ['image export IMAGE OUTPUT_ACI_FILE'],
  description: [
    'Saves an image of the store as a file, byte for byte as it was imported but uncompressed.',
    IMAGES,
  ],
  words: ['image', 'file'],
  flags: { overwrite: booleanFlag('Replace the file if it exists') },
  build: (values): ImageExportFlags => ({ overwrite: values.overwrite }),
  acceptsWords: (words) => words.length === 2,
  load: () => import('../../commands/image/export.ts'),
});

const unpackFlags = {
  overwrite: booleanFlag('Delete the directory first if it exists'),
  'rootfs-only': booleanFlag('Only the root of the app, without the manifest'),
};

/** rkt image extract */
export const extract: CommandSpec = command({
  usage: ['image extract IMAGE OUTPUT_DIR'],
  description: ['Unpacks one image, without its dependencies, into a directory.', IMAGES],
  words: ['image', 'directory'],
  flags: unpackFlags,
  build: (values): ImageExtractFlags => ({ overwrite: values.overwrite, rootfsOnly: values['rootfs-only'] }),
  acceptsWords: (words) => words.length === 2,
  load: () => import('../../commands/image/extract.ts'),
});

/** rkt image render */
export const render: CommandSpec = command({
  usage: ['image render IMAGE OUTPUT_DIR'],
  description: [
    'Unpacks an image with all its dependencies into a directory, as a pod would see it.',
    IMAGES,
  ],
  words: ['image', 'directory'],
  flags: unpackFlags,
  build: (values): ImageExtractFlags => ({ overwrite: values.overwrite, rootfsOnly: values['rootfs-only'] }),
  acceptsWords: (words) => words.length === 2,
  load: () => import('../../commands/image/render.ts'),
});

/** rkt image cat-manifest */
export const catManifest: CommandSpec = command({
  usage: ['image cat-manifest IMAGE'],
  description: ['Prints the manifest of an image as JSON.', IMAGES],
  words: ['image'],
  flags: { 'pretty-print': booleanFlag('Indent the JSON', true) },
  build: (values): ImageCatManifestFlags => ({ prettyPrint: values['pretty-print'] }),
  acceptsWords: (words) => words.length === 1,
  load: () => import('../../commands/image/cat-manifest.ts'),
});

/** rkt image verify */
export const verify: CommandSpec = command({
  usage: ['image verify IMAGE...'],
  description: [
    'Checks what was unpacked of images against its hash, and unpacks again what is damaged.',
    IMAGES,
  ],
  words: ['image'],
  flags: {},
  build: (): NoFlags => ({}),
  load: () => import('../../commands/image/verify.ts'),
});

/** rkt image fsck */
export const fsck: CommandSpec = command({
  usage: ['image fsck [IMAGE...]'],
  description: [
    'Checks every stored object: images against their hashes, manifests and the database against the images, what was unpacked against its hash, and looks for leftovers. Prints a line for each that is broken, and ends with status 0 when none is.',
    'With images, only they and what they depend on are checked.',
    IMAGES,
  ],
  examples: [['image fsck --repair', 'drop what is broken; the next fetch brings it back']],
  words: ['image'],
  flags: {
    repair: booleanFlag('Restore what the image itself tells, drop everything else that is broken'),
  },
  build: (values): ImageFsckFlags => ({ repair: values.repair }),
  load: () => import('../../commands/image/fsck.ts'),
});
