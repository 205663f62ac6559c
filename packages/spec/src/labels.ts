// Image labels and the os/arch pairs that count as valid (contract stage0 3.2, 3.6). Pure; runs in every
// process.

import { quote } from '@rkt/diagnostics/quote';

import { AcIdentifier, sameName } from './ac-identifier.ts';
import { defaulted, refine, required, struct, text, uniqueList } from './codec.ts';
import type { Codec } from './codec.ts';
import { refuse, SpecError } from './errors.ts';

export interface Label {
  readonly name: AcIdentifier;
  readonly value: string;
}

type PlatformTable = Readonly<Record<string, readonly string[]>>;

const LINUX_COMMON = ['amd64', 'i386', 'aarch64', 'aarch64_be', 'armv6l', 'armv7l', 'armv7b'];

const PLATFORMS: Readonly<Record<'appc' | 'rkt', PlatformTable>> = {
  appc: {
    darwin: ['x86_64', 'i386'],
    freebsd: ['amd64', 'i386', 'arm'],
    linux: [...LINUX_COMMON, 'ppc64', 'ppc64le', 's390x'],
  },
  rkt: { linux: [...LINUX_COMMON, 'ppc64le'] },
};

/**
 * Checks the labels os and arch against the standard's table (when labels are read or written) or against
 * rkt's own (when an image is fetched by name or an app is prepared). arch is only checked when there is an
 * os.
 *
 * @throws SpecError `bad-platform`
 */
export function checkOsArch(labels: readonly Label[] | undefined, table: 'appc' | 'rkt'): void {
  const os = labelValue(labels, 'os');
  if (os === undefined) return;
  const platforms = PLATFORMS[table];
  const architectures = Object.hasOwn(platforms, os) ? platforms[os] : undefined;
  if (architectures === undefined) {
    const known = Object.keys(platforms).join(' ');
    throw new SpecError('bad-platform', `bad os ${quote(os)} (must be one of: [${known}])`);
  }
  const arch = labelValue(labels, 'arch');
  if (arch !== undefined && !architectures.includes(arch)) {
    const known = architectures.join(' ');
    throw new SpecError('bad-platform', `bad arch ${quote(arch)} for ${os} (must be one of: [${known}])`);
  }
}

export const Label: Codec<Label> = struct<Label>(
  'Label',
  { name: required(AcIdentifier, 'label name must be set'), value: defaulted(text, '') },
  (label) => (label.name === 'name' ? refuse('invalid label name: "name"') : label),
);

/** Labels with unique names and an os/arch pair of the standard. */
export const Labels: Codec<readonly Label[]> = refine(
  uniqueList(
    Label,
    ({ name }) => name,
    (name) => `duplicate labels of name ${quote(name)}`,
  ),
  (labels) => {
    checkOsArch(labels, 'appc');
    return labels;
  },
);

/** The value of the label `name`, in any case, or undefined. */
export function labelValue(labels: readonly Label[] | undefined, name: string): string | undefined {
  return labels?.find((label) => sameName(label.name, name))?.value;
}

/** The os label of this machine. */
export function hostOs(platform: string = process.platform): string {
  return platform;
}

/** The arch label of a machine, from node's or Go's name for it. */
export function hostArch(
  nodeArch: string = process.arch,
  armVersion: unknown = (process.config.variables as { arm_version?: unknown }).arm_version,
): string {
  switch (nodeArch) {
    case 'x64':
    case 'amd64':
      return 'amd64';
    case 'ia32':
    case '386':
      return 'i386';
    case 'arm64':
      return 'aarch64';
    case 'arm':
      return String(armVersion) === '7' ? 'armv7l' : 'armv6l';
    case 'ppc64':
      // node has one name for both byte orders.
      return isLittleEndian() ? 'ppc64le' : 'ppc64';
    default:
      return nodeArch;
  }
}

function isLittleEndian(): boolean {
  return new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
}
