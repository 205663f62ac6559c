// The pods that are registered, in memory (contract stage1 6). A token opens exactly one pod, and only while that pod
// runs. Runs in the metadata service.

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import type { DataDir } from '@rkt/pod-layout/data-dir';
import type { ImageManifest } from '@rkt/spec/image-manifest';
import type { PodManifest } from '@rkt/spec/pod-manifest';
import type { Uuid } from '@rkt/spec/uuid';

/** What was said about a pod when it was registered. */
export interface Registration {
  readonly uuid: Uuid;
  readonly manifest: PodManifest;
  /** Where the pod's directory is; undefined when whoever registered it did not say, as rkt 1.30 does not. */
  readonly data?: DataDir | undefined;
}

/** A pod that may ask. */
export interface RegisteredPod extends Registration {
  /** Image manifests by the name of the app. */
  readonly images: ReadonlyMap<string, ImageManifest>;
}

interface Entry extends RegisteredPod {
  readonly images: Map<string, ImageManifest>;
  readonly tokenHash: Buffer;
}

/** What the registry asks and tells. */
export interface RegistryOptions {
  /** Whether the pod still runs. */
  readonly isRunning: (pod: Registration) => boolean;
  /** Called after each change with the pod that came or went. */
  readonly onAdd?: (pod: RegisteredPod) => void;
  readonly onRemove?: (pod: RegisteredPod) => void;
}

/** All registered pods. */
export class Registry {
  readonly #options: RegistryOptions;
  readonly #byUuid = new Map<Uuid, Entry>();
  readonly #byTokenHash = new Map<string, Entry>();
  // Looking a token up by its keyed hash takes a time that tells nothing about tokens.
  readonly #hashKey = randomBytes(32);

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Adds a pod, in place of what was known under its UUID. Returns false when the token opens another pod. */
  add(registration: Registration, token: string): boolean {
    const tokenHash = this.#hash(token);
    const owner = this.#byTokenHash.get(tokenHash.toString('hex'));
    if (owner !== undefined && owner.uuid !== registration.uuid && this.#keep(owner)) return false;
    this.remove(registration.uuid);
    const entry: Entry = { ...registration, images: new Map(), tokenHash };
    this.#byUuid.set(entry.uuid, entry);
    this.#byTokenHash.set(tokenHash.toString('hex'), entry);
    this.#options.onAdd?.(entry);
    return true;
  }

  /** Adds the image of an app. Returns false when there is no such pod. */
  addImage(uuid: Uuid, app: string, image: ImageManifest): boolean {
    const entry = this.#byUuid.get(uuid);
    entry?.images.set(app, image);
    return entry !== undefined;
  }

  /** Forgets a pod. Returns false when it was not known. */
  remove(uuid: Uuid): boolean {
    const entry = this.#byUuid.get(uuid);
    if (entry === undefined) return false;
    this.#byUuid.delete(uuid);
    this.#byTokenHash.delete(entry.tokenHash.toString('hex'));
    this.#options.onRemove?.(entry);
    return true;
  }

  /** The pod that this token opens, if it still runs. */
  open(token: string): RegisteredPod | undefined {
    const hash = this.#hash(token);
    const entry = this.#byTokenHash.get(hash.toString('hex'));
    if (entry === undefined || !timingSafeEqual(hash, entry.tokenHash)) return undefined;
    return this.#keep(entry) ? entry : undefined;
  }

  /** Forgets the pods that have ended without saying so. */
  removeEnded(): void {
    for (const entry of this.#byUuid.values()) this.#keep(entry);
  }

  get size(): number {
    return this.#byUuid.size;
  }

  #keep(entry: Entry): boolean {
    if (this.#options.isRunning(entry)) return true;
    this.remove(entry.uuid);
    return false;
  }

  #hash(token: string): Buffer {
    return createHmac('sha256', this.#hashKey).update(token).digest();
  }
}
