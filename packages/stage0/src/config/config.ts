// The configuration in force: what the files of all directories say together (contract stage0 2.2). Pure.

import type { LimitValues } from '../unpack/limits.ts';

/** How to log in to a server that images come from. */
export type AuthCredentials =
  | { readonly type: 'basic'; readonly user: string; readonly password: string }
  | { readonly type: 'oauth'; readonly token: string }
  | {
      readonly type: 'aws';
      readonly accessKeyId: string;
      readonly secretAccessKey: string;
      /** Empty: guessed from the host. */
      readonly region: string;
    };

/** How to log in to a docker registry. */
export interface DockerCredentials {
  readonly user: string;
  readonly password: string;
}

/** A server that has copies of a docker registry's images. */
export interface DockerMirror {
  /** `host` or `host:port`. */
  readonly host: string;
  /** Path that repositories have there before their own; empty: none. */
  readonly prefix: string;
  readonly scheme: 'https' | 'http';
}

/** Directories; empty when not configured. */
export interface PathsConfig {
  readonly data: string;
  readonly stage1Images: string;
}

/** The default stage1 image; empty when not configured. */
export interface Stage1Config {
  readonly name: string;
  readonly version: string;
  /** Absolute path or URL. */
  readonly location: string;
}

/** All configuration. */
export interface Config {
  /** By host or host:port. */
  readonly auth: ReadonlyMap<string, AuthCredentials>;
  /** By index name of the registry. */
  readonly dockerAuth: ReadonlyMap<string, DockerCredentials>;
  /** By index name of the registry, in the order they are asked. */
  readonly dockerMirrors: ReadonlyMap<string, readonly DockerMirror[]>;
  readonly paths: PathsConfig;
  readonly stage1: Stage1Config;
  /** How much an image may cost; what is absent is not configured. */
  readonly limits: LimitValues;
}

/** Nothing configured. */
export const EMPTY_CONFIG: Config = {
  auth: new Map(),
  dockerAuth: new Map(),
  dockerMirrors: new Map(),
  paths: { data: '', stage1Images: '' },
  stage1: { name: '', version: '', location: '' },
  limits: {},
};
