// Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY as Go's programs read them (contract stage0
// 1.11). node's own reading knows neither networks nor ports in NO_PROXY. Pure; runs in stage0.

import { BlockList, isIP } from 'node:net';

import { quote } from '@rkt/diagnostics/quote';

import { FetchError } from './errors.ts';

type Environment = Readonly<Record<string, string>>;

/** The proxy for `url`, or undefined to go there directly. @throws FetchError `proxy` */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const variable = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = valueOf(env, variable);
  if (text === '' || isExempt(url, valueOf(env, 'NO_PROXY'))) return undefined;
  return parseProxy(text, variable);
}

function valueOf(env: Environment, variable: string): string {
  return env[variable] || env[variable.toLowerCase()] || '';
}

function parseProxy(text: string, variable: string): URL {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const proxy = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (proxy === undefined || proxy.hostname === '') {
    throw new FetchError('proxy', `invalid proxy address in ${variable}`);
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') {
    throw new FetchError('proxy', `${variable} names a proxy of kind ${quote(proxy.protocol.slice(0, -1))}`, {
      hint: 'use a proxy that speaks http or https',
    });
  }
  return proxy;
}

function isExempt(url: URL, noProxy: string): boolean {
  // In brackets if it is an address of IPv6.
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  if (isLoopback(host)) return true;
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return noProxy
    .toLowerCase()
    .split(',')
    .some((entry) => matches(entry.trim(), host, port));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '') return false;
  if (entry === '*') return true;
  if (entry.includes('/')) return isInNetwork(host, entry);
  const [, name = '', wantedPort = port] = /^(.*?)(?::([0-9]+))?$/.exec(withoutBrackets(entry)) ?? [];
  const exempt = isIP(entry) > 0 ? entry : name;
  if (exempt === entry ? false : wantedPort !== port) return false;
  return isIP(exempt) > 0 ? sameAddress(exempt, host) : matchesName(exempt, host);
}

// [::1]:80 becomes ::1 with its port apart; a bare ::1 must not lose its last group to the port.
function withoutBrackets(entry: string): string {
  const inBrackets = /^\[([^\]]*)\]((?::[0-9]+)?)$/.exec(entry);
  return inBrackets === null ? entry : `${inBrackets[1] ?? ''}${inBrackets[2] ?? ''}`;
}

// foo.com means it and all below it; .foo.com and *.foo.com only what is below.
function matchesName(entry: string, host: string): boolean {
  const suffix = entry.replace(/^\*/, '');
  if (suffix.startsWith('.')) return host.endsWith(suffix);
  return host === suffix || host.endsWith(`.${suffix}`);
}

function isInNetwork(host: string, cidr: string): boolean {
  const [network = '', bits = ''] = cidr.split('/');
  const family = isIP(network);
  const length = Number(bits);
  if (family === 0 || isIP(host) !== family) return false;
  if (!/^[0-9]+$/.test(bits) || length > (family === 4 ? 32 : 128)) return false;
  const list = new BlockList();
  list.addSubnet(network, length, family === 4 ? 'ipv4' : 'ipv6');
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

function sameAddress(a: string, b: string): boolean {
  return isInNetwork(b, `${a}/${isIP(a) === 4 ? 32 : 128}`);
}
