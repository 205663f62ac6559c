// Addresses and routes of a network namespace, said again for a guest: what CNI plugins made is read from the kernel's
// tables and becomes commands of busybox's ip, which the guest executes before systemd. Pure.

/** A device with what the guest is to have on its own one. */
export interface GuestDevice {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** With the length of the prefix. */
  readonly addresses: readonly string[];
  readonly routes: readonly Route[];
}

/** A route of the main table. */
export interface Route {
  readonly family: 4 | 6;
  /** With the length of the prefix. */
  readonly destination: string;
  readonly gateway?: string;
}

const RTF_GATEWAY = 0x2;
/** Routes that the kernel makes for its own addresses, and to nowhere. */
const RTF_IGNORED = 0x8000_0000 | 0x0200;

/** The routes by `device` in the texts of /proc/net/route and /proc/net/ipv6_route (proc(5)). */
export function parseRoutes(device: string, { ipv4, ipv6 }: { ipv4: string; ipv6: string }): Route[] {
  return [...ipv4.split('\n').slice(1).flatMap(route4), ...ipv6.split('\n').flatMap(route6)];

  function route4(line: string): Route[] {
    const [name, destination = '', gateway = '', flags = '', , , , mask = ''] = line.trim().split(/\s+/);
    if (name !== device) return [];
    const prefix = [...Number.parseInt(mask, 16).toString(2)].filter((bit) => bit === '1').length;
    const via = (Number.parseInt(flags, 16) & RTF_GATEWAY) === 0 ? {} : { gateway: address4(gateway) };
    return [{ family: 4, destination: `${address4(destination)}/${prefix}`, ...via }];
  }

  function route6(line: string): Route[] {
    const [destination = '', prefix = '', , , gateway = '', , , , flags = '', name] = line
      .trim()
      .split(/\s+/);
    const bits = Number.parseInt(flags, 16);
    if (name !== device || (bits & RTF_IGNORED) !== 0 || /^(fe80|ff)/.test(destination)) return [];
    const via = (bits & RTF_GATEWAY) === 0 ? {} : { gateway: address6(gateway) };
    return [{ family: 6, destination: `${address6(destination)}/${Number.parseInt(prefix, 16)}`, ...via }];
  }
}

// Eight digits, the lowest byte first.
function address4(hex: string): string {
  return (hex.match(/../g) ?? [])
    .toReversed()
    .map((byte) => Number.parseInt(byte, 16))
    .join('.');
}

const address6 = (hex: string): string => (hex.match(/..../g) ?? []).join(':');

/** The commands, for the guest's init program. Devices are in the order of the machine's. */
export function guestScript(devices: readonly GuestDevice[]): string {
  return devices
    .flatMap(({ addresses, routes, mtu }, index) => {
      const device = `eth${index}`;
      const ip = (family: 4 | 6, words: string): string => `$b ip -${family} ${words} dev ${device}`;
      const via = ({ gateway }: Route): string => (gateway === undefined ? '' : ` via ${gateway}`);
      return [
        `$b ip link set ${device} mtu ${mtu} up`,
        ...addresses.map((address) => ip(address.includes(':') ? 6 : 4, `addr add ${address}`)),
        // What comes with the address may be what a plugin has taken away.
        `$b ip -4 route flush dev ${device}`,
        // A gateway must be reachable first.
        ...[...routes]
          .sort((a, b) => via(a).length - via(b).length)
          .map((route) => ip(route.family, `route replace ${route.destination}${via(route)}`)),
      ];
    })
    .map((line) => `${line}\n`)
    .join('');
}
