// The addresses at which pods reach the service: loopback, for pods on the host's network, and the host's addresses in
// the networks of the pods that are registered, as long as they are. Never all interfaces, unless the administrator says
// so. Runs in the metadata service.

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Logger } from '@rkt/diagnostics/logger';

import { close, listen } from './listen.ts';

/** What listens where. */
export class PublicListeners {
  readonly #newServer: () => Server;
  readonly #logger: Logger;
  readonly #servers = new Map<string, Server>();
  #port: number;
  #fixed: readonly string[] = [];
  #work: Promise<void> = Promise.resolve();

  constructor(newServer: () => Server, port: number, logger: Logger) {
    this.#newServer = newServer;
    this.#port = port;
    this.#logger = logger;
  }

  /** The port, the same at all addresses; known after {@link open} when the kernel chose it. */
  get port(): number {
    return this.#port;
  }

  /** Listens at the addresses that stay. @throws MetadataError `cannot-listen` */
  async open(addresses: readonly string[]): Promise<void> {
    this.#fixed = addresses;
    for (const address of addresses) await this.#open(address);
  }

  /** Listens at these addresses also, and no longer at others that came this way. What fails is told to the user. */
  follow(addresses: ReadonlySet<string>): Promise<void> {
    const wanted = new Set([...this.#fixed, ...addresses]);
    // One change after the other: an address may go and come back at once.
    this.#work = this.#work.then(() => this.#become(wanted));
    return this.#work;
  }

  /** Ends all of it; requests under way have `graceMs` to finish. */
  async close(graceMs: number): Promise<void> {
    await this.#work;
    await Promise.all([...this.#servers.values()].map((server) => close(server, graceMs)));
    this.#servers.clear();
  }

  async #become(wanted: ReadonlySet<string>): Promise<void> {
    for (const [address, server] of this.#servers) {
      if (wanted.has(address)) continue;
      this.#servers.delete(address);
      await close(server, 0);
      this.#logger.info(`no longer listening on ${withPort(address, this.#port)}`);
    }
    for (const address of wanted) {
      if (this.#servers.has(address)) continue;
      try {
        await this.#open(address);
      } catch (error) {
        this.#logger.error('pods cannot reach this service', error);
      }
    }
  }

  async #open(address: string): Promise<void> {
    const server = this.#newServer();
    await listen(server, withPort(address, this.#port), { host: address, port: this.#port, exclusive: true });
    this.#port = (server.address() as AddressInfo).port;
    this.#servers.set(address, server);
    this.#logger.info(`listening on ${withPort(address, this.#port)}`);
  }
}

function withPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
