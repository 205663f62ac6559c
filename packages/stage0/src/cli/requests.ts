// What a parsed command line is: plain data, validated once, handed to one command. Runs in stage0.

import type { Mount } from '@rkt/spec/mount';
import type { ExposedPort } from '@rkt/spec/port';
import type { Volume } from '@rkt/spec/volume';

import type { LimitValues } from '../unpack/limits.ts';

/** What --insecure-options turns off (contract stage0 1.8). */
export interface InsecureOptions {
  readonly image: boolean;
  readonly tls: boolean;
  readonly onDisk: boolean;
  readonly http: boolean;
  readonly pubkey: boolean;
  readonly capabilities: boolean;
  readonly paths: boolean;
  readonly seccomp: boolean;
  /** Run apps whose limits this host cannot enforce; ours. */
  readonly limits: boolean;
}

/** Flags every command takes (contract stage0 1.7). */
export interface GlobalFlags {
  readonly debug: boolean;
  /** Absolute; absent unless given on the command line. */
  readonly dir?: string;
  readonly systemConfig: string;
  readonly localConfig: string;
  readonly userConfig?: string;
  readonly insecure: InsecureOptions;
  readonly trustKeysFromHttps: boolean;
  /** Files for profiles of rkt itself. */
  readonly cpuProfile?: string;
  readonly memoryProfile?: string;
}

/** What a command gets: its own flags, its positional arguments, its images. */
export interface Invocation<Flags> {
  /** Name of the leaf command; the prefix of what it prints (contract stage0 1.5). */
  readonly command: string;
  readonly global: GlobalFlags;
  readonly flags: Flags;
  readonly args: readonly string[];
  /** One per image of run, prepare and fetch (contract stage0 1.4); empty elsewhere. */
  readonly apps: readonly AppRequest[];
  /** Caller's environment, read once in bin. */
  readonly env: Readonly<Record<string, string>>;
}

/** One image on the command line with the flags that follow it (contract stage0 8.3, column A). */
export interface AppRequest {
  readonly image: string;
  readonly args: readonly string[];
  readonly signature?: string;
  readonly exec?: string;
  readonly workingDir?: string;
  readonly readonlyRootfs?: boolean;
  readonly mounts: readonly Mount[];
  readonly user?: string;
  readonly group?: string;
  readonly supplementaryGids?: readonly number[];
  readonly name?: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly userAnnotations: Readonly<Record<string, string>>;
  readonly userLabels: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
  /** Canonical quantity text, e.g. `16M`. */
  readonly memory?: string;
  readonly cpu?: string;
  readonly cpuShares?: number;
  readonly oomScoreAdj?: number;
  readonly capsRetain?: readonly string[];
  readonly capsRemove?: readonly string[];
  readonly seccomp?: SeccompRequest;
  readonly stdin?: string;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** The --seccomp flag (contract stage0 8.3, 11.6). */
export interface SeccompRequest {
  readonly mode: 'retain' | 'remove';
  readonly set: readonly string[];
  readonly errno: string;
}

/** When the store is asked and when the network (contract stage0 4.3). */
export type PullPolicy = 'never' | 'new' | 'update';

/** The one stage1 flag that was given, of the five and --stage1-image (contract stage0 8.8, 9.2). */
export interface Stage1Choice {
  readonly kind: 'url' | 'path' | 'name' | 'hash' | 'from-dir' | 'image';
  readonly value: string;
}

/** Flags of `prepare` (contract stage0 8.3, column P of prepare). */
export interface PrepareFlags {
  readonly stage1?: Stage1Choice;
  readonly ports: readonly ExposedPort[];
  readonly inheritEnv: boolean;
  readonly setEnv: readonly EnvironmentFlag[];
  /** Already read and checked; in file order. */
  readonly setEnvFile: readonly EnvironmentFlag[];
  readonly noOverlay: boolean;
  readonly privateUsers: boolean;
  readonly pullPolicy: PullPolicy;
  /** True when --pull-policy, --store-only or --no-store was given (conflicts with --pod-manifest). */
  readonly pullPolicyGiven: boolean;
  readonly storeOnly: boolean;
  readonly noStore: boolean;
  /** How much an image may cost; absent: as configured. */
  readonly limits: LimitValues;
  readonly podManifest?: string;
  readonly quiet: boolean;
  readonly volumes: readonly Volume[];
  /** --mount before any image: for all apps. */
  readonly mounts: readonly Mount[];
}

/** What is said of the pod itself. */
export interface PodDescription {
  /** Apps can be added to the pod while it runs. */
  readonly mutable?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly userAnnotations?: Readonly<Record<string, string>>;
  readonly userLabels?: Readonly<Record<string, string>>;
}

/** One `K=V` of --set-env or --set-env-file. */
export interface EnvironmentFlag {
  readonly name: string;
  readonly value: string;
}

/** Flags that say how a prepared pod is launched (contract stage0 8.3, run and run-prepared). */
export interface LaunchFlags {
  /** Entries `NAME[:ARGS]` in the order given; empty means the default network. */
  readonly net: readonly string[];
  readonly interactive: boolean;
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOpt: readonly string[];
  readonly dnsDomain: string;
  readonly hostsEntry: readonly string[];
  readonly hostname: string;
  readonly ipc: string;
  readonly mdsRegister: boolean;
}

/** Flags of `app sandbox` (contract stage0 8.20). */
export interface SandboxFlags extends PrepareFlags, LaunchFlags, PodDescription {
  readonly uuidFileSave?: string;
}

/** Flags of `app start`, `app stop` and `app rm`. */
export interface AppNameFlags {
  readonly app: string;
}

export interface AppListFlags {
  readonly noLegend: boolean;
}

export interface AppStatusFlags extends AppNameFlags {
  readonly format: '' | 'json' | 'json-pretty';
}

/** Flags of `run`. */
export interface RunFlags extends PrepareFlags, LaunchFlags {
  readonly uuidFileSave?: string;
}

export type RunPreparedFlags = LaunchFlags;

export interface ListFlags {
  readonly noLegend: boolean;
  readonly full: boolean;
  readonly format: '' | 'json' | 'json-pretty';
}

export interface StatusFlags {
  /** Milliseconds to wait for the end; undefined: do not wait; Infinity: forever. */
  readonly waitMs?: number;
  readonly waitReadyMs?: number;
  readonly format: '' | 'json' | 'json-pretty';
  readonly uuidFile?: string;
}

export interface CatManifestFlags {
  readonly prettyPrint: boolean;
  readonly uuidFile?: string;
}

export interface EnterFlags {
  readonly app?: string;
}

export interface AttachFlags {
  readonly app?: string;
  /** As typed: `auto`, `list`, or a list of endpoints. */
  readonly mode: string;
}

export interface LogsFlags {
  readonly app?: string;
  readonly follow: boolean;
  /** Milliseconds since the epoch. */
  readonly sinceMs?: number;
  /** How many of the last lines. */
  readonly lines?: number;
  readonly output: 'short' | 'json' | 'cat';
  readonly uuidFile?: string;
}

export interface StopFlags {
  readonly force: boolean;
  readonly uuidFile?: string;
}

export interface RmFlags {
  readonly uuidFile?: string;
}

export interface GcFlags {
  readonly gracePeriodMs: number;
  readonly expirePreparedMs: number;
  readonly markOnly: boolean;
}

export interface ExportFlags {
  readonly app?: string;
  readonly overwrite: boolean;
}

export interface FetchFlags {
  readonly full: boolean;
  readonly pullPolicy: PullPolicy;
  readonly storeOnly: boolean;
  readonly noStore: boolean;
  /** How much an image may cost; absent: as configured. */
  readonly limits: LimitValues;
}

export type ImageListField = 'id' | 'name' | 'size' | 'importtime' | 'lastused';

export interface ImageListFlags {
  readonly fields: readonly ImageListField[];
  readonly sort: readonly ('name' | 'importtime' | 'lastused' | 'size')[];
  readonly order: 'asc' | 'desc';
  readonly noLegend: boolean;
  readonly full: boolean;
  readonly format: '' | 'json' | 'json-pretty';
}

export interface ImageGcFlags {
  readonly gracePeriodMs: number;
}

export interface ImageFsckFlags {
  readonly repair: boolean;
}

export interface ImageExportFlags {
  readonly overwrite: boolean;
}

export interface ImageExtractFlags {
  readonly overwrite: boolean;
  readonly rootfsOnly: boolean;
}

export interface ImageCatManifestFlags {
  readonly prettyPrint: boolean;
}

export interface ApiServiceFlags {
  /** HOST:PORT; empty unless given. */
  readonly listen: string;
}

export interface ConfigFlags {
  readonly prettyPrint: boolean;
}

export interface MetadataServiceFlags {
  /** 0: the kernel chooses. */
  readonly listenPort: number;
  readonly listenAddress?: string;
}

export interface TrustFlags {
  /** Images the keys are for; absent with --root. */
  readonly prefix?: string;
  readonly root: boolean;
  readonly skipFingerprintReview: boolean;
  readonly insecureAllowHttp: boolean;
}

/** Commands without flags of their own. */
export type NoFlags = Readonly<Record<never, never>>;
