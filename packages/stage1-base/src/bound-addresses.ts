// Addresses of the sockets that a service manager gave to rkt: systemd inside the pod finds its sockets by them. Runs in
// the run entry point, on the host and in the network namespace that rkt was started in.

import { readFileSync, readlinkSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';

/** What a socket is bound to. */
export interface BoundAddress {
  readonly protocol: 'tcp' | 'udp';
  /** As systemd.socket(5) writes it, IPv6 in brackets; undefined: every address of both families. */
  readonly address: string | undefined;
  readonly port: number;
}

/** The kernel's tables; replaced in tests. */
export interface SocketTables {
  /** Target of /proc/self/fd/N. */
  readonly link: (descriptor: number) => string;
  /** Text of /proc/self/net/NAME, empty where there is none. */
  readonly table: (name: string) => string;
}

const PROC: SocketTables = {
  link: (descriptor) => readlinkSync(`/proc/self/fd/${descriptor}`),
  table: (name) => {
    try {
      return readFileSync(`/proc/self/net/${name}`, 'latin1');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return '';
      throw error;
    }
  },
};

/** What these descriptors are bound to; those that are no internet sockets, or of another namespace, are left out. */
export function boundAddresses(
  descriptors: readonly number[],
  { link, table }: SocketTables = PROC,
): BoundAddress[] {
  if (descriptors.length === 0) return [];
  const inodes = new Set(descriptors.flatMap((fd) => /^socket:\[(\d+)\]$/.exec(link(fd))?.[1] ?? []));
  return (['tcp', 'udp'] as const).flatMap((protocol) =>
    [protocol, `${protocol}6`].flatMap((name) =>
      table(name)
        .split('\n')
        .slice(1)
        .map((line) => line.trim().split(/\s+/))
        // proc_net(5): the second field is the local address, the tenth the inode.
        .filter((fields) => inodes.has(fields[9] ?? ''))
        .map(([, local = '']) => ({ protocol, ...parseLocal(local) })),
    ),
  );
}

// Hexadecimal, each word of 32 bits in the byte order of the machine, which is a little-endian one.
function parseLocal(text: string): { address: string | undefined; port: number } {
  const [hex = '', port = ''] = text.split(':');
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => [...Buffer.from(word, 'hex').reverse()]);
  return { address: printAddress(bytes), port: Number.parseInt(port, 16) };
}

function printAddress(bytes: readonly number[]): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return undefined;
  return `[${Buffer.from(bytes).toString('hex').match(/.{4}/g)?.join(':')}]`;
}
