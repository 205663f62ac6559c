// What runs in the guest: all that is written for it, and of each verb's suite those tests in which a pod meets the
// machine: its systemd, its control groups, its namespaces, its kernel. What a test shows without a pod of its own, by
// words and files alone, it shows on any machine, and is left to the step `e2e`.

/** Tests of one suite. */
export interface Selection {
  /** Relative to the workspace root. */
  readonly file: string;
  /** Title of the suite. */
  readonly suite: string;
  /** Titles that follow it, of tests or of groups of them; all when absent. */
  readonly tests?: readonly string[];
}

/** The guest has two processors, so two runs of mocha share the work: the lists take about the same time. */
export const LANES: readonly (readonly Selection[])[] = [
  [
    { file: 'e2e/guest/services.test.ts', suite: 'services of the machine' },
    { file: 'e2e/guest/shipped-units.test.ts', suite: 'shipped units' },
    {
      file: 'e2e/suites/run.test.ts',
      suite: 'run nspawn',
      tests: [
        'passes SIGTERM on as an orderly end',
        'keeps no process of its own beside the pod',
        'output and status are 77',
        'output and status carry both streams',
        'output and status of a killed app tell so',
        'arguments with the program /nonexistent',
        'flags --no-overlay works the same',
        'flags --interactive connects the terminal',
        'runs several apps, the first failure decides',
      ],
    },
    {
      file: 'e2e/suites/run-isolation.test.ts',
      suite: 'isolation nspawn',
      tests: ["namespaces are the pod's own", 'paths of other apps', 'devices', 'limits'],
    },
    {
      file: 'e2e/suites/enter-confinement.test.ts',
      suite: 'confinement of entered processes nspawn',
      tests: ['by default: capabilities', 'devices and memory'],
    },
    {
      file: 'e2e/suites/crash.test.ts',
      suite: 'crashes nspawn',
      tests: ['of the supervisor', 'of PID 1', 'of the journal are mended'],
    },
    {
      file: 'e2e/suites/attach.test.ts',
      suite: 'rkt attach',
      tests: ['streams carry bytes both ways', 'a terminal is one, has the size of ours'],
    },
    {
      file: 'e2e/suites/api-service.test.ts',
      suite: 'api-service',
      tests: ['the process serves sockets that systemd passes', 'nspawn exit codes, control group and logs'],
    },
  ],
  [
    { file: 'e2e/guest/machined.test.ts', suite: 'machined' },
    { file: 'e2e/guest/sockets.test.ts', suite: 'sockets of the machine' },
    { file: 'e2e/suites/limits.test.ts', suite: 'limits nspawn' },
    {
      file: 'e2e/suites/pod-isolators.test.ts',
      suite: 'isolators of pods nspawn',
      tests: ['of memory', 'of processor time'],
    },
    {
      file: 'e2e/suites/user-namespaces.test.ts',
      suite: 'user namespaces nspawn',
      tests: [
        'over mapped trees show files',
        'over mapped trees run apps as other users',
        'over mapped trees are entered',
        'over mapped trees limit nothing',
        'in shifted copies show files',
      ],
    },
    {
      file: 'e2e/suites/pod-commands.test.ts',
      suite: 'commands on pods nspawn',
      tests: [
        'status follows the pod',
        'gc and rm leave running pods alone',
        'run-prepared does the same as run',
        'enter runs a command in the app',
        'stop',
        'export gives an image that runs again from an overlay',
        'status files hold',
      ],
    },
    {
      file: 'e2e/suites/app-verbs.test.ts',
      suite: 'apps of sandboxes',
      tests: ['come, run, end and go', 'are stopped one by one', 'have volumes', 'are limited'],
    },
    {
      file: 'e2e/suites/logs.test.ts',
      suite: 'rkt logs',
      tests: ['of an exited pod prints', 'of a running pod prints', 'of a running pod survives stop --force'],
    },
    {
      file: 'e2e/suites/prepare.test.ts',
      suite: 'prepare',
      tests: ['prepare marks overlay pods', 'cat-manifest'],
    },
    {
      file: 'e2e/suites/executor.test.ts',
      suite: 'executor nspawn',
      tests: ['has three apps end', 'device volumes', 'terminals take ctrl-C to a pod without'],
    },
  ],
];

/** For a guest with SELinux. */
export const SELINUX_LANES: readonly (readonly Selection[])[] = [
  [{ file: 'e2e/guest/selinux.test.ts', suite: 'SELinux' }],
];

/** What all lanes together counted, and what is wrong beside failed tests. */
export interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly faults: readonly string[];
}

/** Reads the output of the lanes, in which their lines may be mixed; a selection of which no test ran is a fault. */
export function judge(output: string, lanes: readonly (readonly Selection[])[]): Verdict {
  const closing = [...output.matchAll(/^(\d+) passed, (\d+) failed, (\d+) skipped$/gm)];
  const sum = (group: number): number => closing.reduce((total, match) => total + Number(match[group]), 0);
  const titles = [...output.matchAll(/^ {2}(?:ok|FAIL|skip) (.*)$/gm)].map(([, title = '']) => title);
  const faults = lanes
    .flat()
    .flatMap(({ tests = [''], ...selection }) =>
      tests
        .filter(
          (test) => !titles.some((title) => new RegExp(pattern({ ...selection, tests: [test] })).test(title)),
        )
        .map((test) => `no test of ${selection.file} is called "${selection.suite} ${test}"`),
    );
  if (closing.length !== lanes.length)
    faults.push(`${lanes.length - closing.length} of ${lanes.length} runs ended before their last test`);
  return { passed: sum(1), failed: sum(2) + faults.length, skipped: sum(3), faults };
}

/** The full titles, as mocha's --grep takes them, of the tests of a selection. */
export function pattern({ suite, tests }: Selection): string {
  const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);
  const rest = tests === undefined ? '' : ` (?:${tests.map(escape).join('|')})`;
  return `^${escape(suite)}${rest}`;
}
