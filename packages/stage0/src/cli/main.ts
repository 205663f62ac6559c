// The whole life of one rkt command up to its exit status: find it, read its flags, run it. Runs in stage0.

import { EXIT_FAILURE } from '@rkt/diagnostics/exit';
import { writeStderr, writeStdout } from '@rkt/diagnostics/logger';

import type { CommandModule, CommandSpec } from './command.ts';
import { COMMAND_TREE, type CommandNode } from './command-tree.ts';
import { type CommandError, isCode } from './errors.ts';
import { failureText } from './failure.ts';
import { findCommand } from './find-command.ts';
import { GLOBAL_FLAGS } from './flags/global.ts';
import { finishInvocation, parseOwnFlags, type ParseContext } from './parse.ts';
import type { Invocation } from './requests.ts';
import { setZone } from './time-zone.ts';

/** Who calls, read once in bin. */
export interface Caller {
  /** Arguments after the program's name. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: () => string;
  readonly euid: () => number;
}

/** Exit status of `rkt` without a command (contract stage0 1.6). */
const EXIT_MISSING_COMMAND = 2;

/** Runs the command that `caller` asks for; returns the exit status, and throws nothing. */
export async function runCli(caller: Caller): Promise<number> {
  const found = findCommand(COMMAND_TREE, caller.argv, GLOBAL_FLAGS);
  if ('unknown' in found) {
    const { unknownCommandText } = await import('./usage-errors.ts');
    writeStderr(await unknownCommandText(found));
    return EXIT_FAILURE;
  }
  setZone(caller.env['TZ']);
  const { path, node, rest } = found;
  const context: ParseContext = {
    env: caller.env,
    cwd: caller.cwd,
    note: (line) => writeStderr(`${line}\n`),
  };
  if (node.spec === undefined) return await runGroup(path, node, rest, context);
  return await runCommand(path, await node.spec(), rest, caller, context);
}

// A group does nothing by itself; its flags are checked all the same.
async function runGroup(
  path: readonly string[],
  node: CommandNode,
  tokens: readonly string[],
  context: ParseContext,
): Promise<number> {
  let help: boolean;
  try {
    ({ help } = await parseOwnFlags({ flags: {}, imageFlags: {}, grammar: 'mixed' }, tokens, context));
  } catch (error) {
    return await reportBadFlag(error, path, tokens);
  }
  const missing = node === COMMAND_TREE && !help;
  if (missing) writeStderr('rkt: missing command\n');
  await printHelp(path);
  return missing ? EXIT_MISSING_COMMAND : 0;
}

async function runCommand(
  path: readonly string[],
  spec: CommandSpec,
  tokens: readonly string[],
  caller: Caller,
  context: ParseContext,
): Promise<number> {
  const prefix = path.at(-1) ?? 'rkt';
  let debug = false;
  try {
    const parsed = await parseOwnFlags(spec, tokens, context);
    debug = parsed.global.debug;
    if (parsed.help) return await printHelp(path);
    if (spec.needsRoot && caller.euid() !== 0) {
      writeStderr(`${prefix}: cannot run as unprivileged user\n`);
      return EXIT_FAILURE;
    }
    const { invocation, help } = finishInvocation(spec, prefix, parsed, context);
    if (help) return await printHelp(path);
    debug = invocation.global.debug;
    if (!spec.acceptsWords(invocation.args, invocation.flags)) return await printUsage(path);
    return await runProfiled(invocation, (await spec.load()) as CommandModule<unknown>);
  } catch (error) {
    if (isCode(error, 'bad-flag')) return await reportBadFlag(error, path, tokens);
    if (isCode(error, 'usage')) return await printUsage(path);
    return reportFailure(error, prefix, debug);
  }
}

async function runProfiled(invocation: Invocation<unknown>, module: CommandModule<unknown>): Promise<number> {
  const { cpuProfile = '', memoryProfile = '' } = invocation.global;
  if (cpuProfile === '' && memoryProfile === '') return await module.run(invocation);
  const { startProfile } = await import('./profile.ts');
  const finish = await startProfile({ cpu: cpuProfile, memory: memoryProfile });
  try {
    return await module.run(invocation);
  } finally {
    await finish();
  }
}

// No prefix and no context: the command did not get to speak (contract stage0 1.3).
async function reportBadFlag(
  error: unknown,
  path: readonly string[],
  tokens: readonly string[],
): Promise<number> {
  const { badFlagText } = await import('./usage-errors.ts');
  writeStderr(await badFlagText(error, path, tokens));
  return await printUsage(path);
}

function reportFailure(error: unknown, prefix: string, debug: boolean): number {
  writeStderr(`${failureText(error, prefix, debug)}\n`);
  return (isCode(error, 'command-failed') ? (error as CommandError).status : undefined) ?? EXIT_FAILURE;
}

async function printHelp(path: readonly string[]): Promise<number> {
  const { helpText } = await import('./help.ts');
  writeStdout(await helpText(path));
  return 0;
}

async function printUsage(path: readonly string[]): Promise<number> {
  const { usageText } = await import('./usage-errors.ts');
  writeStdout(await usageText(path));
  return EXIT_FAILURE;
}
