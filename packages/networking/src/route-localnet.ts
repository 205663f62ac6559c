// net.ipv4.conf.DEVICE.route_localnet: lets connections of the host to 127.0.0.1 leave by DEVICE, to a pod. It stays on
// for as long as a pod needs it, and what was on before us stays on. Runs in the run and gc entry points, on the host.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';

import { hasCode } from '@rkt/diagnostics/rkt-error';
import { FORWARD_STATE_DIR } from '@rkt/pod-layout/net-paths';

const ROUTES = '/proc/thread-self/net/route';
const setting = (device: string): string => `/proc/sys/net/ipv4/conf/${device}/route_localnet`;
const users = (device: string): string => `${FORWARD_STATE_DIR}/${device}`;

/** The device by which the host reaches `ip`, by its most exact route; undefined when there is none. */
export function deviceTowards(
  ip: string,
  routes: string = readFileSync(ROUTES, 'latin1'),
): string | undefined {
  const target = addressNumber(ip);
  let best: { device: string; mask: number } | undefined;
  for (const line of routes.split('\n').slice(1)) {
    const [device, destination, , , , , , mask] = line.split('\t');
    if (device === undefined || destination === undefined || mask === undefined) continue;
    const [net, bits] = [littleEndian(destination), littleEndian(mask)];
    if ((target & bits) >>> 0 !== net || (best !== undefined && bits <= best.mask)) continue;
    best = { device, mask: bits };
  }
  return best?.device;
}

const addressNumber = (ip: string): number =>
  ip.split('.').reduce((number, part) => ((number << 8) | Number(part)) >>> 0, 0);

// The kernel prints the four bytes as one number of this machine.
const littleEndian = (hex: string): number => Buffer.from(hex.padStart(8, '0'), 'hex').readUInt32LE(0);

/** Turns the setting on for a pod. The caller holds the lock of {@link FORWARD_STATE_DIR}. */
export function useRouteLocalnet(device: string, uuid: string): void {
  if (!existsSync(users(device)) && readFileSync(setting(device), 'latin1').trim() === '1') return;
  mkdirSync(users(device), { recursive: true, mode: 0o755 });
  writeFileSync(`${users(device)}/${uuid}`, '', { mode: 0o644 });
  writeFileSync(setting(device), '1');
}

/** Turns the setting off when the pod was the last that used it. The caller holds the lock. */
export function dropRouteLocalnet(device: string, uuid: string): void {
  rmSync(`${users(device)}/${uuid}`, { force: true });
  try {
    if (readdirSync(users(device)).length > 0) return;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  try {
    writeFileSync(setting(device), '0');
  } catch (error) {
    // The device went with its pod.
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  rmdirSync(users(device));
}
