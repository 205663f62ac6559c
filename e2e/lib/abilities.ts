// What a flavour may be able to do, and the three ways of not being able to. The rows of docs/flavours.md. Runs in the
// mocha process.

/** Abilities and what each means, in the words of docs/flavours.md. */
export const ABILITIES = {
  running: 'run: program, arguments, directory, no descriptors of the caller',
  exitStatus: "the app's exit status is the command's",
  output: 'standard output and error of the app on those of the command',
  callersInput: "the app has the caller's standard input",
  interactive: '`--interactive`: the app has the terminal',
  severalApps: 'several apps in a pod, on one loopback device',
  mutable: 'apps that come and go (`rkt app`)',
  statusFiles: "each app's exit status in `rkt status`",
  readiness: '`rkt status --wait-ready`',
  logs: '`rkt logs`',
  enter: '`rkt enter`: environment, capabilities, exit status, terminal, several at once',
  enterUser: "`rkt enter` as the app's user",
  stop: '`rkt stop`: the app may end in its own way',
  stopForce: '`rkt stop --force`',
  gc: '`rkt gc` leaves nothing',
  environment: 'environment of image and flags, nothing of the caller',
  appName: 'AC_APP_NAME',
  user: 'user, group, supplementary groups',
  volumes: 'volumes of the host, read-only ones too',
  emptyVolumes: 'empty volumes, also for mount points without a volume',
  readOnlyRootfs: '`--readonly-rootfs`',
  handlers: 'event handlers',
  isolated: 'processes of host and pod apart',
  ownKernel: 'a kernel of its own',
  userNamespaces: '`--private-users`',
  capabilities: 'capabilities retained and removed',
  seccomp: 'filters of system calls',
  protectedPaths: 'paths of the kernel protected',
  isolators: 'limits of memory and processor time',
  hostname: '`--hostname`, else the name of the pod',
  names: '`--dns`, `--hosts-entry`',
  noNetwork: '`--net=none`',
  networks: 'networks with addresses, forwarded ports',
  hostNetwork: '`--net=host`',
} as const;

export type Ability = keyof typeof ABILITIES;

/** The names of all abilities, in the table's order. */
export const ABILITY_NAMES = Object.keys(ABILITIES) as readonly Ability[];

/**
 * Whether a flavour has an ability:
 * - `yes`: the checks of the suite must pass;
 * - `refuses`: who asks for it gets an error with this text;
 * - `warns`: the pod runs without, and this text says so;
 * - `lacks`: nobody can ask for it, or asking is defined to have no effect; the reason is shown where checks are skipped.
 */
export type Claim =
  'yes' | { readonly refuses: string } | { readonly warns: string } | { readonly lacks: string };

/** All that a flavour declares. */
export type Claims = Readonly<Record<Ability, Claim>>;

/** All abilities as one yes or no. */
export type Abilities = Readonly<Record<Ability, boolean>>;

/** What is claimed without conditions. */
export function claimed(claims: Claims): Abilities {
  return Object.fromEntries(ABILITY_NAMES.map((name) => [name, claims[name] === 'yes'])) as Record<
    Ability,
    boolean
  >;
}

/** Claims of a flavour that can do everything but what is said. */
export function allBut(rest: Partial<Claims>): Claims {
  const yes = Object.fromEntries(ABILITY_NAMES.map((name) => [name, 'yes'])) as Record<Ability, Claim>;
  return { ...yes, ...rest };
}

/** Claims of a flavour that lacks everything but what is said, for one reason. */
export function nothingBut(reason: string, rest: Partial<Claims>): Claims {
  const none = Object.fromEntries(ABILITY_NAMES.map((name) => [name, { lacks: reason }])) as Record<
    Ability,
    Claim
  >;
  return { ...none, ...rest };
}
