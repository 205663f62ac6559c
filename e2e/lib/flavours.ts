// The stage1 flavours and what each can do (contract stage1 14.10); suites ask abilities, never names. Runs in the
// mocha process.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { FLAVOUR_NAMES, STAGE1_DIR } from './environment.ts';
import type { Result } from './process.ts';
import { skip } from './requires.ts';

/** What a flavour can do. */
export interface Abilities {
  /** More than one app in a pod. */
  readonly severalApps: boolean;
  /** Writes rkt/status files, shown by `rkt status`. */
  readonly statusFiles: boolean;
  /** Network, pid, ipc and uts namespaces of its own. */
  readonly isolated: boolean;
  /** Volumes of kind empty, and implicit ones. */
  readonly emptyVolumes: boolean;
  /** Restricts capabilities. */
  readonly capabilities: boolean;
  /** Protects paths and devices. */
  readonly protectedPaths: boolean;
  /** Sets the hostname. */
  readonly hostname: boolean;
  /** Event handlers. */
  readonly handlers: boolean;
  /** Memory, cpu and oom isolators. */
  readonly isolators: boolean;
  readonly readOnlyRootfs: boolean;
  readonly userNamespaces: boolean;
  /** Signals a supervisor's readiness. */
  readonly readiness: boolean;
  /** AC_APP_NAME and the like. */
  readonly appName: boolean;
  /** Gives the app the caller's standard input without --interactive. */
  readonly callersInput: boolean;
}

/** One flavour under test. */
export interface Flavour {
  readonly name: string;
  readonly interfaceVersion: number;
  readonly image: string;
  /** Arguments of run and prepare that choose it. */
  readonly stage1: readonly string[];
  /** Arguments of run and run-prepared that need no network configuration. */
  readonly net: readonly string[];
  readonly can: Abilities;
  /** What the app wrote, as lines, without what the flavour adds. */
  readonly linesOf: (result: Pick<Result, 'output'>, app?: string) => string[];
}

const NSPAWN: Flavour = {
  name: 'nspawn',
  interfaceVersion: 6,
  image: join(STAGE1_DIR, 'stage1-nspawn.aci'),
  stage1: [`--stage1-image=${join(STAGE1_DIR, 'stage1-nspawn.aci')}`],
  net: ['--net=none'],
  can: {
    severalApps: true,
    statusFiles: true,
    isolated: true,
    emptyVolumes: true,
    capabilities: true,
    protectedPaths: true,
    hostname: true,
    handlers: true,
    isolators: true,
    readOnlyRootfs: true,
    userNamespaces: true,
    readiness: true,
    appName: true,
    callersInput: false,
  },
  linesOf: journalLines,
};

const FLY: Flavour = {
  name: 'fly',
  interfaceVersion: 5,
  image: join(STAGE1_DIR, 'stage1-fly.aci'),
  stage1: [`--stage1-image=${join(STAGE1_DIR, 'stage1-fly.aci')}`],
  net: ['--net=host'],
  can: {
    severalApps: false,
    statusFiles: false,
    isolated: false,
    emptyVolumes: false,
    capabilities: false,
    protectedPaths: false,
    hostname: false,
    handlers: false,
    isolators: false,
    readOnlyRootfs: false,
    userNamespaces: false,
    readiness: false,
    appName: false,
    callersInput: true,
  },
  // journald takes blanks from the ends of lines; suites compare without them.
  linesOf: ({ output }) => lines(output).map((line) => line.trimEnd()),
};

/** All flavours of this run. */
export const FLAVOURS: readonly Flavour[] = [NSPAWN, FLY].filter(
  ({ name }) => FLAVOUR_NAMES.length === 0 || FLAVOUR_NAMES.includes(name),
);

/** Declares the tests of `body` once per flavour that can do all of `abilities`. */
export function forEachFlavour(
  abilities: readonly (keyof Abilities)[],
  body: (flavour: Flavour) => void,
): void {
  for (const flavour of FLAVOURS) {
    if (!abilities.every((ability) => flavour.can[ability])) continue;
    describe(flavour.name, () => {
      before(function () {
        if (!existsSync(flavour.image)) skip(this, `needs ${flavour.image}`);
      });
      body(flavour);
    });
  }
}

/** `text` as lines, with terminal line ends removed. */
export function lines(text: string): string[] {
  return text.split(/\r*\n/).filter((line) => line !== '');
}

// journald's console form: `[  12.345678] app[17]: text`, the time only if the kernel prints times.
function journalLines({ output }: Pick<Result, 'output'>, app = '[a-z0-9-]+'): string[] {
  const pattern = new RegExp(`^(?:\\[[ 0-9.]+\\] )?(?:${app})\\[\\d+\\]: (.*)$`);
  return lines(output).flatMap((line) => pattern.exec(line)?.[1] ?? []);
}
