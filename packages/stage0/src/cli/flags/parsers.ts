// Parsers of appc values for flags; the code of the standard is loaded when such a flag occurs. Runs in stage0.

import { quote } from '@rkt/diagnostics/quote';
import type { Mount } from '@rkt/spec/mount';
import type { ExposedPort } from '@rkt/spec/port';
import type { Volume } from '@rkt/spec/volume';

import { badValue } from '../errors.ts';
import type { EnvironmentFlag } from '../requests.ts';

/** Less than a page holds no process. */
const MEMORY_MINIMUM_BYTES = 4096n;

/** --name: an AC Name. */
export async function loadAppName(): Promise<(text: string) => string> {
  const { parseAcName } = await import('@rkt/spec/ac-name');
  return (text) => parseAcName(text);
}

/** Key of --annotation: an AC Identifier. */
export async function loadAnnotation(): Promise<(key: string) => string> {
  const { parseAcIdentifier } = await import('@rkt/spec/ac-identifier');
  return (key) => parseAcIdentifier(key);
}

/** Splits `NAME=VALUE`; the name must be one that appc allows. */
export async function loadAssignment(): Promise<(text: string) => EnvironmentFlag> {
  const { parseEnvironmentName } = await import('@rkt/spec/environment');
  return (text) => {
    const equals = text.indexOf('=');
    if (equals < 0) throw badValue('must be specified as key=value');
    return { name: parseEnvironmentName(text.slice(0, equals)), value: text.slice(equals + 1) };
  };
}

/** --memory: canonical text of a quantity of at least a page. */
export async function loadMemory(): Promise<(text: string) => string> {
  const { formatQuantity, parseQuantity, quantityBytes } = await import('@rkt/spec/quantity');
  return (text) => {
    const quantity = parseQuantity(text);
    const bytes = quantityBytes(quantity);
    if (bytes < MEMORY_MINIMUM_BYTES) {
      throw badValue(`memory limit of ${bytes} bytes too low, use at least ${MEMORY_MINIMUM_BYTES}`);
    }
    return formatQuantity(quantity);
  };
}

/** --cpu: canonical text of a quantity of cores. */
export async function loadCpu(): Promise<(text: string) => string> {
  const { formatQuantity, parseQuantity, quantityMilli } = await import('@rkt/spec/quantity');
  return (text) => {
    const quantity = parseQuantity(text);
    if (quantityMilli(quantity) <= 0n) throw badValue(`cpu limit ${quote(text)} is not positive`);
    return formatQuantity(quantity);
  };
}

/** --mount volume=NAME,target=PATH */
export async function loadMount(): Promise<(text: string) => Mount> {
  const { parseMountFlag } = await import('@rkt/spec/mount');
  return parseMountFlag;
}

/** --port NAME:[HOSTIP:]HOSTPORT */
export async function loadPort(): Promise<(text: string) => ExposedPort> {
  const { parsePortFlag } = await import('@rkt/spec/port');
  return parsePortFlag;
}

/** --volume NAME,kind=...; a name may be used once. */
export async function loadVolume(): Promise<(text: string, previous: readonly Volume[]) => Volume> {
  const { parseVolumeFlag } = await import('@rkt/spec/volume');
  return (text, previous) => {
    const volume = parseVolumeFlag(text);
    if (previous.some(({ name }) => name === volume.name)) {
      throw badValue(`duplicate volume name ${quote(volume.name)}`);
    }
    return volume;
  };
}

/** --mnt-volume name=NAME,kind=...,target=PATH */
export async function loadMountVolume(): Promise<(text: string) => Mount> {
  const { parseMountVolumeFlag } = await import('@rkt/spec/mount');
  return parseMountVolumeFlag;
}

/** --port NAME:PROTOCOL:PODPORT:HOSTIP:HOSTPORT */
export async function loadSandboxPort(): Promise<(text: string) => ExposedPort> {
  const { parseSandboxPortFlag } = await import('@rkt/spec/port');
  return parseSandboxPortFlag;
}
