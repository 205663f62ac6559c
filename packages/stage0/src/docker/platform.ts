// Which image of an index is for this machine. Pure but for the defaults; runs in stage0.

import { endianness } from 'node:os';

import { DockerError } from './errors.ts';
import { type Descriptor, formatPlatform, type Platform } from './manifest.ts';

const GO_ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  mips: 'mips',
  arm64: 'arm64',
};

/** This machine, in Go's words. */
export function hostPlatform(
  nodeArch: string = process.arch,
  armVersion: unknown = (process.config.variables as { arm_version?: unknown }).arm_version,
): Platform {
  const architecture =
    nodeArch === 'ppc64' && endianness() === 'LE' ? 'ppc64le' : (GO_ARCHITECTURES[nodeArch] ?? nodeArch);
  return {
    os: 'linux',
    architecture,
    ...(nodeArch === 'arm' && { variant: `v${String(armVersion ?? 6)}` }),
  };
}

/**
 * The entry for `host`: its own variant, else the nearest older one, else one without a variant.
 * @throws DockerError `no-platform` with the list of what there is
 */
export function choosePlatform(manifests: readonly Descriptor[], host: Platform, where: string): Descriptor {
  const fitting = manifests
    .map((manifest) => ({ manifest, rank: rankOf(manifest.platform, host) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => (b.rank ?? 0) - (a.rank ?? 0));
  const [best] = fitting;
  if (best !== undefined) return best.manifest;
  // Layouts of one image often say nothing about its platform.
  const [only] = manifests;
  if (only !== undefined && manifests.length === 1 && only.platform === undefined) return only;
  throw new DockerError(
    'no-platform',
    `${where} has no image for ${formatPlatform(host)}: ${available(manifests)}`,
  );
}

// The higher the better; undefined: does not run here.
function rankOf(platform: Platform | undefined, host: Platform): number | undefined {
  if (platform === undefined || platform.os !== host.os || platform.architecture !== host.architecture) {
    return undefined;
  }
  const { variant } = platform;
  if (variant === undefined) return 0;
  const wanted = host.variant ?? IMPLIED_VARIANTS[host.architecture];
  if (wanted === undefined) return undefined;
  const [has, needs] = [versionOf(wanted), versionOf(variant)];
  return has === undefined || needs === undefined || needs > has ? undefined : needs;
}

// What every machine of the kind can do.
const IMPLIED_VARIANTS: Readonly<Record<string, string>> = { amd64: 'v1', arm64: 'v8' };

function versionOf(variant: string): number | undefined {
  const version = /^v([1-9][0-9]?)$/.exec(variant)?.[1];
  return version === undefined ? undefined : Number(version);
}

const MAX_LISTED = 20;

function available(manifests: readonly Descriptor[]): string {
  const names = new Set<string>();
  // Attestations are listed as images of an unknown system.
  for (const { platform } of manifests) {
    if (platform !== undefined && platform.os !== 'unknown') names.add(formatPlatform(platform).slice(0, 60));
  }
  if (names.size === 0) return 'it names no platform';
  const listed = [...names].slice(0, MAX_LISTED).join(', ');
  return `available are ${listed}${names.size > MAX_LISTED ? ` and ${names.size - MAX_LISTED} more` : ''}`;
}
