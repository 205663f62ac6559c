// Where pods and the metadata service meet: its socket, its port, and what a pod keeps of its registration
// (contract stage1 6, stage0 8.13). Pure.

import { PodLayoutError } from './errors.ts';
import type { PodDir } from './pod-paths.ts';

/** Directory of {@link METADATA_SOCKET}. */
export const METADATA_SOCKET_DIR = '/run/rkt';
export const METADATA_SOCKET_DIR_MODE = 0o755;
/** Where stage0 registers pods; only root may connect. */
export const METADATA_SOCKET: string = `${METADATA_SOCKET_DIR}/metadata-svc.sock`;
export const METADATA_SOCKET_MODE = 0o660;
/** TCP port that pods ask at, unless the service says otherwise. */
export const METADATA_PORT = 18112;
/** What follows the token in every path of the public API. */
export const METADATA_API_PREFIX = '/acMetadata/v1';
/** Address of the host in a pod that shares its network. */
export const METADATA_LOOPBACK = '127.0.0.1';

/** P/mds-registration, mode 0600: how a registered pod reaches the service. Ours; rkt 1.30 had the token in argv. */
export const mdsRegistrationFile = (pod: PodDir): string => `${pod}/mds-registration`;
export const MDS_REGISTRATION_MODE = 0o600;

/** What stage1 needs to know to tell apps where their metadata is. */
export interface MdsRegistration {
  /** Opens this pod's metadata and nothing else. */
  readonly token: string;
  readonly port: number;
  /** The one address the service listens on, when the administrator chose it; else the pod's network decides. */
  readonly address?: string;
}

/** The file's text. */
export const printMdsRegistration = (registration: MdsRegistration): string => JSON.stringify(registration);

/**
 * What the text of {@link mdsRegistrationFile} says; port and address are also what the service answers to a
 * registration, so `token` may be given beside it.
 * @throws PodLayoutError `bad-file`
 */
export function parseMdsRegistration(text: string, token?: string): MdsRegistration {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PodLayoutError('bad-file', 'registration with the metadata service is not JSON', { cause });
  }
  const record = (value ?? {}) as Readonly<Record<string, unknown>>;
  const found = token ?? record['token'];
  const { port, address } = record;
  if (typeof found !== 'string' || found === '') throw unreadable('a token');
  if (!Number.isInteger(port) || (port as number) < 1 || (port as number) > 65535) throw unreadable('a port');
  if (address === undefined) return { token: found, port: port as number };
  if (typeof address !== 'string' || !/^[0-9a-fA-F:.]+$/.test(address)) throw unreadable('an address');
  return { token: found, port: port as number, address };
}

function unreadable(what: string): PodLayoutError {
  return new PodLayoutError('bad-file', `registration with the metadata service lacks ${what}`);
}

/**
 * AC_METADATA_URL of the pod's apps.
 * @param hostAddress The host's address as the pod's network shows it.
 */
export function metadataUrl({ token, port, address }: MdsRegistration, hostAddress: string): string {
  return `http://${urlHost(address ?? hostAddress)}:${port}/${token}`;
}

/** The address of the host in a URL made by {@link metadataUrl}; undefined for any other text. */
export function metadataUrlAddress(url: string): string | undefined {
  return /^http:\/\/(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):\d+\//
    .exec(url)
    ?.slice(1)
    .find((part) => part !== undefined);
}

function urlHost(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
