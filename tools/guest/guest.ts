// The step `guest` of `npm test`: boots the guest and runs suites in it, and boots it once more with SELinux for what needs
// that. With words, it runs those in the guest's shell instead, where this repository is /rkt:
// `npx node --conditions=@rkt/source tools/guest/guest.ts systemctl status`.
import { runTool, workspaceRoot } from '../workspace.ts';
import { guestImage, imageReason } from './image.ts';
import { Machine } from './machine.ts';
import { judge, LANES, pattern, SELINUX_LANES, type Verdict } from './suites.ts';

/** When to give up: on two cores of its own the guest takes a third of this. */
const TESTS_MS = 30 * 60_000;

/** In an emulated processor rkt and what it starts take about this many times as long. */
const PATIENCE = 10;

/** Where the guest keeps a store that has unpacked the stage1 images: there it takes half a minute each time. */
const SEED = '/var/tmp/seed';

/** The shell script that runs all lanes side by side and ends with the status of one that failed. */
function suitesScript(selected: typeof LANES): string {
  const quote = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;
  // Without liftoff-only, one start in thirty crashes in an emulated processor: V8 compiles the WebAssembly that strips
  // types anew while it runs, and is lost in its own stack (Runtime_WasmTriggerTierUp). rkt itself runs none.
  const mocha = `mocha --config e2e/.mocharc.json -n liftoff-only --timeout ${120_000 * PATIENCE}`;
  const lanes = selected.map((selections) => {
    const grep = selections.map(pattern).join('|');
    return `${mocha} --grep ${quote(grep)} ${selections.map(({ file }) => file).join(' ')} & lanes="$lanes $!"`;
  });
  return [
    'cd /rkt',
    'export PATH=/rkt/node_modules/.bin:$PATH RKT_TEST_VERBOSE=1 RKT_FLAVOURS=nspawn',
    `export RKT_PATIENCE=${PATIENCE} RKT_STORE_SEED=${SEED}`,
    `rkt() { dist/rkt --dir=${SEED} --insecure-options=image "$@"; }`,
    // Unpacks the one as a stage1, the other as an image, which makes the same tree.
    'pod=$(rkt prepare --stage1-image=dist/stage1-nspawn.aci dist/stage1-fly.aci --exec=/x) && rkt rm "$pod" || exit',
    ...lanes,
    'status=0; for lane in $lanes; do wait $lane || status=1; done; exit $status',
  ].join('\n');
}

async function runSuites(machine: Machine, lanes: typeof LANES): Promise<Verdict> {
  let output = '';
  const status = await machine.run(
    suitesScript(lanes),
    (text) => {
      output += text;
      process.stdout.write(text);
    },
    TESTS_MS,
  );
  const verdict = judge(output, lanes);
  return status !== 0 && verdict.failed === 0
    ? withFault(verdict, `the suites end with status ${status}`)
    : verdict;
}

function withFault(verdict: Verdict, fault: string): Verdict {
  return { ...verdict, failed: verdict.failed + 1, faults: [...verdict.faults, fault] };
}

/** Boots a guest, lets `work` do something with it, and ends it. */
async function withGuest<T>(
  options: { readonly selinux?: boolean },
  work: (machine: Machine) => Promise<T>,
): Promise<T> {
  const image = guestImage();
  const started = performance.now();
  const machine = await Machine.boot({ image, share: workspaceRoot, ...options });
  const kind = options.selinux === true ? 'the guest with SELinux' : 'the guest';
  console.log(`  ${kind} has booted in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  try {
    return await work(machine);
  } finally {
    await machine.end();
  }
}

async function main(words: readonly string[]): Promise<void> {
  const reason = imageReason();
  if (reason !== undefined) {
    console.log(`  skip guest [${reason}]\n0 passed, 0 failed, 1 skipped`);
    return;
  }
  if (words.length > 0) {
    const print = (text: string): boolean => process.stdout.write(text);
    process.exitCode = await withGuest({}, (machine) => machine.run(words.join(' '), print, TESTS_MS));
    return;
  }
  const usual = await withGuest({}, (machine) => runSuites(machine, LANES));
  const confined = await withGuest({ selinux: true }, (machine) => runSuites(machine, SELINUX_LANES));
  const verdicts = [usual, confined.skipped > 0 ? withFault(confined, 'SELinux was not on') : confined];
  for (const fault of verdicts.flatMap(({ faults }) => faults)) console.log(`  FAIL guest: ${fault}`);
  const sum = (count: 'passed' | 'failed' | 'skipped'): number =>
    verdicts.reduce((total, verdict) => total + verdict[count], 0);
  console.log(`in the guest:\n${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  process.exitCode = sum('failed') === 0 ? 0 : 1;
}

if (import.meta.main) await runTool('guest', () => main(process.argv.slice(2)));
