// Web sites with names and certificates of their own, without any name server: names are in an /etc/hosts of the
// suite's mount namespace, servers on addresses of loopback. Runs in the mocha process.

import { writeFileSync } from 'node:fs';

import { MNT_DETACH, MS_BIND } from '@rkt/linux/constants';
import { openKernel } from '@rkt/linux/libc';
import { type Authority, type IdentityOptions, makeAuthority } from '@rkt/testkit/authority';
import { type ImageServer, startImageServer } from '@rkt/testkit/image-server';
import { TempDir } from '@rkt/testkit/tmp';

const HOSTS = '/etc/hosts';

/** Names that exist in a test, and who vouches for their servers. */
export class Sites implements AsyncDisposable {
  readonly authority: Authority;
  /** Environment of a program that trusts the authority. */
  readonly env: Readonly<Record<string, string>>;
  readonly #address: string;
  readonly #tmp = new TempDir('sites');
  readonly #servers: ImageServer[] = [];

  /**
   * Makes `names` lead to `address`, an address of loopback that no other suite uses, for programs started from now
   * on. Needs root and the mount namespace of a suite.
   */
  constructor(address: string, names: readonly string[]) {
    this.#address = address;
    this.authority = makeAuthority();
    this.env = { SSL_CERT_FILE: this.authority.file, SSL_CERT_DIR: '/nonexistent' };
    const hosts = this.#tmp.join('hosts');
    const lines = ['127.0.0.1 localhost', ...names.map((name) => `${address} ${name}`)];
    writeFileSync(hosts, `${lines.join('\n')}\n`);
    openKernel().mount(hosts, HOSTS, null, MS_BIND, null);
  }

  /** A server on port 443 with a certificate for the names. */
  secure(identity: IdentityOptions): Promise<ImageServer> {
    return this.#start({ tls: this.authority.issue(identity), port: 443 });
  }

  /** A server on port 80. */
  plain(): Promise<ImageServer> {
    return this.#start({ port: 80 });
  }

  /** Ends the servers, not the names. */
  async closeServers(): Promise<void> {
    await Promise.all(this.#servers.splice(0).map((server) => server.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeServers();
    openKernel().umount2(HOSTS, MNT_DETACH);
    this.authority[Symbol.dispose]();
    this.#tmp.remove();
  }

  async #start(options: Parameters<typeof startImageServer>[0]): Promise<ImageServer> {
    const server = await startImageServer({ address: this.#address, ...options });
    this.#servers.push(server);
    return server;
  }
}

/** A page with meta tags `[name, content]`. */
export function discoveryPage(...tags: readonly (readonly [name: string, content: string])[]): string {
  const lines = tags.map(([name, content]) => `<meta name="${name}" content="${content}">`);
  return `<!DOCTYPE html>\n<html><head>\n${lines.join('\n')}\n</head><body></body></html>\n`;
}
