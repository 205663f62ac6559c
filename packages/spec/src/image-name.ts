// Image names as users type them, `NAME[:VERSION][,label=value...]`, and their canonical form
// (contract stage0 4.2). Pure; runs in every process.

import { quote } from '@rkt/diagnostics/quote';

import { parseAcIdentifier } from './ac-identifier.ts';
import type { AcIdentifier } from './ac-identifier.ts';
import { refuse, SpecError } from './errors.ts';
import { parseParameters } from './flag-parameters.ts';
import { checkOsArch, hostArch, hostOs, labelValue } from './labels.ts';
import type { Label } from './labels.ts';

/** An image asked for by name. */
export interface ImageName {
  readonly name: AcIdentifier;
  readonly labels: readonly Label[];
}

/** @throws SpecError `bad-image-name` */
export function parseImageName(text: string): ImageName {
  try {
    const [head = '', ...parts] = text.split(',');
    const [name = '', version, ...more] = head.split(':');
    if (more.length > 0 || parts.some((part) => part.includes(':'))) {
      refuse('malformed app string - colon may appear only once and only before the labels');
    }
    const labels = parseParameters(version === undefined ? parts : [`version=${version}`, ...parts]);
    return {
      name: parseAcIdentifier(name),
      labels: Array.from(labels, ([label, value]) => ({ name: parseLabelName(label), value })),
    };
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    throw new SpecError('bad-image-name', `invalid appc image string ${quote(text)}: ${error.message}`);
  }
}

/** The canonical text: version, os and arch first, other labels by name. */
export function formatImageName({ name, labels }: ImageName): string {
  const version = labelValue(labels, 'version');
  const ordered = labels
    .filter((label) => label.name !== 'version')
    .sort((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : Number(a.name > b.name)))
    .map((label) => `,${label.name}=${label.value}`);
  return `${name}${version === undefined ? '' : `:${version}`}${ordered.join('')}`;
}

/**
 * `image` with the host's os and arch where it names none.
 *
 * @throws SpecError `bad-image-name` caused by `bad-platform` when rkt runs no such images.
 */
export function withPlatform(image: ImageName, os: string = hostOs(), arch: string = hostArch()): ImageName {
  const wanted = [
    { name: 'arch', value: arch },
    { name: 'os', value: os },
  ];
  const missing = wanted.filter(({ name }) => labelValue(image.labels, name) === undefined);
  const complete = { name: image.name, labels: [...image.labels, ...missing] };
  try {
    checkOsArch(complete.labels, 'rkt');
  } catch (cause) {
    throw new SpecError('bad-image-name', `invalid Appc distribution ${quote(formatImageName(image))}`, {
      cause,
    });
  }
  return complete;
}

function parseLabelName(name: string): AcIdentifier {
  return name === 'name' ? refuse('invalid label name: "name"') : parseAcIdentifier(name);
}

function rank(label: string): number {
  return label === 'os' ? 0 : label === 'arch' ? 1 : 2;
}
