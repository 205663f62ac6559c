// P/runtime-config: what a running pod was started with, for those who change it later (contract stage1 1.11). Pure.

import type { RunArguments } from './entrypoints.ts';

/** Keys are capitalised as Go rkt wrote them. */
export interface RuntimeConfig {
  readonly MetadataServiceURL: string;
  readonly PrivateUsers: string;
  readonly MDSToken: string;
  readonly Hostname: string;
  readonly Debug: boolean;
  readonly Mutable: boolean;
  readonly ResolvConfMode: string;
  readonly EtcHostsMode: string;
  readonly NetList: Readonly<Record<string, never>>;
  readonly Interactive: boolean;
  readonly InsecureOptions: {
    readonly DisablePaths: boolean;
    readonly DisableCapabilities: boolean;
    readonly DisableSeccomp: boolean;
  };
  readonly IPCMode: string;
}

/** How a registered pod reaches the metadata service. */
export interface MetadataAccess {
  readonly token: string;
  /** AC_METADATA_URL. */
  readonly url: string;
}

/** The configuration a pod started with `args` has. */
export function runtimeConfig(args: RunArguments, metadata?: MetadataAccess): RuntimeConfig {
  return {
    MetadataServiceURL: metadata?.url ?? '',
    PrivateUsers: args.privateUsers ?? '',
    MDSToken: metadata?.token ?? args.mdsToken ?? '',
    Hostname: args.hostname ?? '',
    Debug: args.debug,
    Mutable: args.mutable,
    ResolvConfMode: args.resolvMode,
    EtcHostsMode: args.hostsMode,
    NetList: {},
    Interactive: args.interactive,
    InsecureOptions: {
      DisablePaths: args.disablePaths,
      DisableCapabilities: args.disableCapabilities,
      DisableSeccomp: args.disableSeccomp,
    },
    IPCMode: args.ipc ?? '',
  };
}

/** The file's text. */
export function printRuntimeConfig(config: RuntimeConfig): string {
  return JSON.stringify(config);
}

/** AC_METADATA_URL in the text of a runtime-config; undefined when there is none, or the text is not all there yet. */
export function metadataServiceUrl(text: string): string | undefined {
  try {
    const { MetadataServiceURL: url } = JSON.parse(text) as Partial<RuntimeConfig>;
    return typeof url === 'string' && url !== '' ? url : undefined;
  } catch {
    return undefined;
  }
}
