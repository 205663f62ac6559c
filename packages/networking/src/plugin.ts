// Calls CNI plugins (contract stage1 5.4; CNI specification 0.1.0 to 1.0.0). Runs in the run and gc entry points, on the
// host, with the pod directory as working directory.

import { statSync } from 'node:fs';

import { quote } from '@rkt/diagnostics/quote';
import { NET_CONF_SUBDIR, PLUGIN_DIR, STAGE1_PLUGIN_DIR } from '@rkt/pod-layout/net-paths';

import { isObject, textField } from './any-case.ts';
import { NetworkError } from './errors.ts';
import { runProgram } from './program.ts';

/** Where plugins are looked for, in this order: people's own, the host's, stage1's. The last is relative to the pod. */
export function pluginPath(localConfig: string): string[] {
  return [`${localConfig}/${NET_CONF_SUBDIR}`, PLUGIN_DIR, STAGE1_PLUGIN_DIR];
}

/** The first regular file of that name along `directories`, or undefined. */
export function findPlugin(type: string, directories: readonly string[]): string | undefined {
  return directories
    .map((directory) => `${directory}/${type}`)
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
}

/** What every call for one pod has in common. */
export interface PluginContext {
  readonly uuid: string;
  /** The caller's environment; plugins see all of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly pluginPath: readonly string[];
  readonly lockFd?: number;
}

/** One call. */
export interface PluginCall {
  readonly command: 'ADD' | 'DEL' | 'CHECK';
  readonly type: string;
  readonly path: string;
  /** Configuration as the plugin reads it. */
  readonly stdin: string;
  readonly cniVersion: string;
  /** Path of the namespace; empty when it is gone. */
  readonly netns: string;
  readonly ifName: string;
  readonly args: string;
}

/** Calls the plugin; returns what it writes. @throws NetworkError `plugin-failed` with the plugin's own message */
export async function callPlugin(call: PluginCall, context: PluginContext): Promise<string> {
  const { type, path } = call;
  const end = await runProgram({
    path,
    stdin: call.stdin,
    env: { ...context.env, ...pluginVariables(call, context) },
    ...(context.lockFd === undefined ? {} : { lockFd: context.lockFd }),
  }).catch((cause: Error) => {
    throw new NetworkError('plugin-failed', `cannot execute plugin ${quote(type)}: ${cause.message}`);
  });
  if (end.status === 0) return end.stdout;
  throw new NetworkError('plugin-failed', pluginMessage(end.stdout), hintFor(type, end.stdout));
}

/** The variables that speak to plugins. */
export function pluginVariables(
  { command, cniVersion, netns, args, ifName }: Omit<PluginCall, 'type' | 'path' | 'stdin'>,
  { uuid, pluginPath: directories }: Pick<PluginContext, 'uuid' | 'pluginPath'>,
): Record<string, string> {
  return {
    CNI_VERSION: cniVersion,
    CNI_COMMAND: command,
    CNI_CONTAINERID: uuid,
    CNI_NETNS: netns,
    CNI_ARGS: args,
    CNI_IFNAME: ifName,
    CNI_PATH: directories.join(':'),
  };
}

/** The message in what a failing plugin wrote: `{"code":N,"msg":TEXT,"details":TEXT}`. */
export function pluginMessage(stdout: string): string {
  const unreadable = `netplugin failed but error parsing its diagnostic message ${quote(stdout)}`;
  let value: unknown;
  try {
    value = JSON.parse(stdout);
  } catch {
    return unreadable;
  }
  if (!isObject(value)) return unreadable;
  const [message, details] = [textField(value, 'msg'), textField(value, 'details')];
  if (message === '') return unreadable;
  return details === '' ? message : `${message}; ${details}`;
}

// The one thing a plugin of ours needs that is neither in the image nor made by it.
function hintFor(type: string, stdout: string): { hint?: string } {
  if (!stdout.includes('/run/cni/dhcp.sock')) return {};
  return { hint: `addresses from DHCP (plugin ${type}) need the daemon: see docs/networking.md` };
}
