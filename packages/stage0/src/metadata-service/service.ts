// The metadata service: pods are registered at a unix socket and ask at TCP addresses (contract stage1 6). Runs in the
// process of `rkt metadata-service`.

import { EventEmitter, once } from 'node:events';

import type { Logger } from '@rkt/diagnostics/logger';
import { hasCode } from '@rkt/diagnostics/rkt-error';
import type { DataDir } from '@rkt/pod-layout/data-dir';
import { METADATA_LOOPBACK } from '@rkt/pod-layout/metadata-service';
import { podPath } from '@rkt/pod-layout/pod-paths';
import type { Uuid } from '@rkt/spec/uuid';

import { lookAt } from '../pod/pod.ts';
import { apiServer, type Patience } from './api-server.ts';
import { watchHostAddress } from './host-address.ts';
import { publicApi } from './public-api.ts';
import { PublicListeners } from './public-listeners.ts';
import { recoverPods } from './recover.ts';
import { type Reach, registrationApi } from './registration-api.ts';
import { openRegistrationSocket, type SocketPlace } from './registration-socket.ts';
import { type RegisteredPod, type Registration, Registry } from './registry.ts';
import { Signer } from './signer.ts';

/** Addresses that mean all interfaces. */
const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
/** How often pods are looked for that ended and did not ask since. */
const SWEEP_MS = 30_000;

export interface ServiceOptions {
  /** 0: the kernel chooses. */
  readonly port: number;
  /** The only address to listen at. Undefined: loopback and the host's addresses in the pods' networks. */
  readonly address?: string | undefined;
  /** Whose running pods are known from the start. */
  readonly data: DataDir;
  readonly env: Readonly<Record<string, string>>;
  readonly logger: Logger;
  readonly place?: SocketPlace;
  readonly patience?: Patience;
}

/** A service that runs. */
export interface MetadataService {
  readonly port: number;
  /** Rejects when it cannot go on. */
  readonly failed: Promise<never>;
  /** Takes no more requests; those under way have `graceMs` to finish. */
  close(graceMs: number): Promise<void>;
}

/** Starts the service. @throws MetadataError when it cannot listen */
export async function startService(options: ServiceOptions): Promise<MetadataService> {
  const { port, address, data, env, logger, place, patience } = options;
  const failures = new EventEmitter();
  const networks = new PodNetworks(() => void listeners.follow(networks.addresses));
  const registry = new Registry({
    isRunning,
    ...(address === undefined && { onAdd: networks.add, onRemove: networks.remove }),
  });
  const signer = new Signer();
  const newServer = () => {
    const server = apiServer(publicApi(registry, signer), logger, patience);
    return server.on('error', (error) => failures.emit('failure', error));
  };
  const listeners = new PublicListeners(newServer, port, logger);
  const reach = (): Reach => ({
    port: listeners.port,
    ...(address !== undefined && !WILDCARDS.has(address) && { address }),
  });
  await listeners.open([address ?? METADATA_LOOPBACK]);
  recoverPods(registry, data, logger);
  const registrations = apiServer(registrationApi(registry, reach), logger, patience);
  let socket;
  try {
    // Last: whoever can connect finds everything else at work.
    socket = await openRegistrationSocket(registrations, env, place);
  } catch (error) {
    networks.clear();
    await listeners.close(0);
    throw error;
  }
  registrations.on('error', (error) => failures.emit('failure', error));
  const sweep = setInterval(() => registry.removeEnded(), SWEEP_MS);
  return {
    port: listeners.port,
    failed: once(failures, 'failure').then(([error]) => {
      throw error;
    }),
    async close(graceMs) {
      clearInterval(sweep);
      networks.clear();
      await Promise.all([socket.close(graceMs), listeners.close(graceMs)]);
    },
  };
}

// Whoever registered a pod without saying where it is must also say when it is gone; the same for a service without
// the right to look.
function isRunning({ data, uuid }: Registration): boolean {
  if (data === undefined) return true;
  try {
    return lookAt(data, uuid, 'run')?.phase === 'running';
  } catch (error) {
    if (hasCode(error, 'EACCES')) return true;
    throw error;
  }
}

/** The host's addresses in the networks of registered pods. */
class PodNetworks {
  readonly #pods = new Map<Uuid, { readonly stop: () => void; address?: string }>();
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get addresses(): ReadonlySet<string> {
    return new Set([...this.#pods.values()].flatMap(({ address }) => address ?? []));
  }

  readonly add = ({ data, uuid }: RegisteredPod): void => {
    if (data === undefined) return;
    const known: { stop: () => void; address?: string } = { stop: () => undefined };
    this.#pods.set(uuid, known);
    known.stop = watchHostAddress(podPath(data, 'run', uuid), (address) => {
      known.address = address;
      this.#changed();
    });
  };

  readonly remove = ({ uuid }: RegisteredPod): void => {
    const known = this.#pods.get(uuid);
    if (known === undefined) return;
    known.stop();
    this.#pods.delete(uuid);
    if (known.address !== undefined) this.#changed();
  };

  clear(): void {
    for (const { stop } of this.#pods.values()) stop();
    this.#pods.clear();
  }
}
