// The stage1 flavours and what each can do (contract stage1 14.10); suites ask abilities, never names. The conformance
// suite (flavours.test.ts) proves what is claimed here. Runs in the mocha process.

import { existsSync } from 'node:fs';
import { join } from 'node:path';

import { type Abilities, type Ability, allBut, type Claims, claimed, nothingBut } from './abilities.ts';
import { readDeclaration } from './declaration.ts';
import { FLAVOUR_FILE, FLAVOUR_NAMES, REPOSITORY, STAGE1_DIR } from './environment.ts';
import type { Result } from './process.ts';
import { skip } from './requires.ts';
import { INSECURE } from './rkt.ts';

/** One flavour under test. */
export interface Flavour {
  readonly name: string;
  readonly image: string;
  /** Arguments of run and prepare that choose it. */
  readonly stage1: readonly string[];
  /** Arguments of run and run-prepared that need no network configuration. */
  readonly net: readonly string[];
  /** The words of a `run` with it, without signatures and network configuration. */
  readonly run: (...words: readonly string[]) => string[];
  readonly claims: Claims;
  /** The claims as yes or no. */
  readonly can: Abilities;
  /** What the app wrote, as lines, without what the flavour adds. */
  readonly linesOf: (result: Pick<Result, 'output'>, app?: string) => string[];
}

const NSPAWN: Flavour = flavour(
  'nspawn',
  ['--net=none'],
  allBut({
    callersInput: { lacks: 'an app has /dev/null unless the pod is interactive' },
    enterUser: { lacks: "the command is root's, within the limits of the app, as in rkt 1.30" },
    ownKernel: { lacks: 'namespaces share the kernel of the host' },
  }),
  journalLines,
);

const WHOLE_HOST = 'the app is a process of the host with another root';

const FLY: Flavour = flavour(
  'fly',
  ['--net=host'],
  nothingBut(WHOLE_HOST, {
    running: 'yes',
    exitStatus: 'yes',
    output: 'yes',
    callersInput: 'yes',
    interactive: 'yes',
    severalApps: { refuses: 'fly only supports 1 application per Pod for now' },
    mutable: { refuses: 'stage1 does not support mutable pods' },
    statusFiles: { lacks: 'nothing of rkt is left beside the app to write it' },
    readiness: { lacks: 'nothing of rkt is left beside the app to say it' },
    logs: { lacks: "the app writes to the caller's descriptors itself" },
    enter: 'yes',
    enterUser: 'yes',
    stop: 'yes',
    stopForce: 'yes',
    gc: 'yes',
    environment: 'yes',
    appName: 'yes',
    user: 'yes',
    volumes: 'yes',
    emptyVolumes: { refuses: 'missing volume for mountpoint' },
    readOnlyRootfs: 'yes',
    handlers: { lacks: 'nothing of rkt is left beside the app to start them' },
    userNamespaces: { refuses: 'private-users' },
    capabilities: { warns: 'fly does not isolate, ignoring os/linux/capabilities-retain-set' },
    seccomp: { warns: 'fly does not isolate, ignoring os/linux/seccomp' },
    isolators: { warns: 'fly does not isolate, ignoring resource/memory' },
    hostname: { warns: 'Warning: -hostname not supported; ignoring' },
    names: 'yes',
    hostNetwork: 'yes',
  }),
  plainLines,
);

/** Pods in virtual machines. */
export const KVM: Flavour = flavour(
  'kvm',
  ['--net=none'],
  allBut({
    callersInput: { lacks: 'an app has /dev/null unless the pod is interactive' },
    mutable: { refuses: 'stage1 does not support mutable pods' },
    enterUser: { lacks: "the command is root's, within the limits of the app, as in rkt 1.30" },
    userNamespaces: { refuses: '--private-users is not for it' },
    hostNetwork: { refuses: 'a virtual machine cannot have the network of the host' },
  }),
  journalLines,
);

/** The stage1 that authors of others start from. */
const EXAMPLE: Flavour = declaredFlavour(join(REPOSITORY, 'packages/stage1-example/abilities.json'));

/** That of somebody else, which alone is tested then: `npm run conformance -- FILE`. */
const DECLARED: readonly Flavour[] = FLAVOUR_FILE === undefined ? [] : [declaredFlavour(FLAVOUR_FILE)];

/** All flavours of this repository. */
export const ALL_FLAVOURS: readonly Flavour[] = [NSPAWN, KVM, FLY, EXAMPLE];

/** Which most suites do not run with unless they are asked to by name: a machine takes seconds to start. */
const NOT_BY_DEFAULT: readonly string[] = ['kvm', 'example'];

/** All flavours of this run. */
export const FLAVOURS: readonly Flavour[] =
  DECLARED.length > 0
    ? DECLARED
    : ALL_FLAVOURS.filter(({ name }) =>
        FLAVOUR_NAMES.length === 0 ? !NOT_BY_DEFAULT.includes(name) : FLAVOUR_NAMES.includes(name),
      );

/** Flavours whose conformance this run proves. */
export const CONFORMING: readonly Flavour[] =
  DECLARED.length > 0
    ? DECLARED
    : ALL_FLAVOURS.filter(({ name }) => FLAVOUR_NAMES.length === 0 || FLAVOUR_NAMES.includes(name));

/** What `file` declares; throws what is wrong with it. */
function declaredFlavour(file: string): Flavour {
  const { name, image, net, output, claims } = readDeclaration(file);
  const linesOf = output === 'journal' ? journalLines : plainLines;
  return flavour(name, [`--net=${net}`], claims, linesOf, image);
}

function flavour(
  name: string,
  net: readonly string[],
  claims: Claims,
  linesOf: Flavour['linesOf'],
  image = join(STAGE1_DIR, `stage1-${name}.aci`),
): Flavour {
  const stage1 = [`--stage1-image=${image}`];
  const run = (...words: readonly string[]): string[] => [INSECURE, 'run', ...stage1, ...net, ...words];
  return { name, image, stage1, net, run, claims, can: claimed(claims), linesOf };
}

/** Declares the tests of `body` once per flavour that can do all of `abilities`. */
export function forEachFlavour(abilities: readonly Ability[], body: (flavour: Flavour) => void): void {
  for (const each of FLAVOURS) {
    if (!abilities.every((ability) => each.can[ability])) continue;
    describe(each.name, () => {
      before(function () {
        if (!existsSync(each.image)) skip(this, `needs ${each.image}`);
      });
      body(each);
    });
  }
}

/** `text` as lines, with terminal line ends removed. */
export function lines(text: string): string[] {
  return text.split(/\r*\n/).filter((line) => line !== '');
}

// journald takes blanks from the ends of lines; suites compare without them.
function plainLines({ output }: Pick<Result, 'output'>): string[] {
  return lines(output).map((line) => line.trimEnd());
}

// journald's console form: `[  12.345678] app[17]: text`, the time only if the kernel prints times.
function journalLines({ output }: Pick<Result, 'output'>, app = '[a-z0-9-]+'): string[] {
  const pattern = new RegExp(`^(?:\\[[ 0-9.]+\\] )?(?:${app})\\[\\d+\\]: (.*)$`);
  return lines(output).flatMap((line) => pattern.exec(line)?.[1] ?? []);
}
