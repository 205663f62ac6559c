// The rows about images from registries and about many images. Runs in the bench process.
import fs from 'node:fs';
import path from 'node:path';
import { writeAci } from '@rkt/testkit/aci-builder';
import { imageManifest } from '@rkt/testkit/manifests';
import { bareContainer, benchDir, outputOf, removeData, removeTree, rktWith } from './fixtures.ts';
import { type Contestant, peakMemory, timeOnce } from './measure.ts';
import { debianLayout, Registry } from './registry.ts';
import { type Measured, ratio, type Row } from './row.ts';

const HTTP = '--insecure-options=image,http';
const LARGE = 3;

/**
 * Moves what was made aside before each run and deletes it at the end: ext4 does not give out inodes again that were
 * deleted a moment ago, and looks at every one of them for every new file.
 */
class Aside implements Disposable {
  readonly #moved: string[] = [];

  move(directory: string): void {
    if (!fs.existsSync(directory)) return;
    const target = `${directory}.${this.#moved.length}`;
    fs.renameSync(directory, target);
    this.#moved.push(target);
  }

  [Symbol.dispose](): void {
    for (const directory of this.#moved) removeData(directory);
  }
}

/** rkt with an empty store before each run. */
function fetching(name: string, reference: string, aside: Aside): Contestant & { readonly data: string } {
  const { command, data } = rktWith(name);
  removeData(data);
  const fetch = [...command, HTTP, 'fetch', `docker://${reference}`];
  return { name, command: fetch, before: () => aside.move(data), data };
}

async function fetchDockerRow(): Promise<Measured> {
  using registry = await Registry.start();
  const reference = registry.push(debianLayout(1), 'debian');
  using aside = new Aside();
  const ours = fetching('fetch-docker', reference, aside);
  const target = path.join(benchDir, 'umoci');
  removeTree(target);
  const line =
    'skopeo copy --quiet --src-tls-verify=false "docker://$0" "oci:$1/oci:t" && umoci unpack --image "$1/oci:t" "$1/bundle"';
  const renew = (): void => {
    aside.move(target);
    fs.mkdirSync(target, { recursive: true });
  };
  const theirs = { name: 'skopeo and umoci', command: ['sh', '-c', line, reference, target], before: renew };
  try {
    return ratio(ours, theirs, 4);
  } finally {
    removeData(ours.data);
    removeTree(target);
  }
}

async function fetchAgainRow(): Promise<Measured> {
  using registry = await Registry.start();
  const reference = registry.push(debianLayout(1), 'debian');
  using aside = new Aside();
  const first = fetching('fetch-again', reference, aside);
  const { command } = first;
  try {
    return ratio({ name: 'again', command }, { ...first, name: 'first' }, 3);
  } finally {
    removeData(first.data);
  }
}

async function runDockerRow(): Promise<Measured> {
  using registry = await Registry.start();
  const reference = registry.push(debianLayout(1), 'debian');
  const { command, data } = rktWith('run-docker');
  removeData(data);
  const run = [...command, HTTP, 'run', '--net=none', `docker://${reference}`];
  try {
    timeOnce(run);
    return ratio({ name: 'run', command: run }, { name: 'bare nspawn', command: bareContainer() }, 20);
  } finally {
    timeOnce([...command, 'gc', '--grace-period=0s']);
    removeData(data);
  }
}

/** Peaks in bytes of fetches of the image, and of one three times as large. */
async function fetchPeaks(): Promise<{ small: number; large: number }> {
  using registry = await Registry.start();
  const peaks: number[] = [];
  for (const copies of [1, LARGE]) {
    using aside = new Aside();
    const reference = registry.push(debianLayout(copies), `debian${copies}`);
    const { command, data } = fetching('docker-memory', reference, aside);
    peaks.push(await peakMemory(command));
    removeData(data);
  }
  const [small = 0, large = 0] = peaks;
  return { small, large };
}

async function fetchMemoryRow(): Promise<Measured> {
  const { small, large } = await fetchPeaks();
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
  return {
    value: Math.max(small, large) / 1e6,
    detail: `VmHWM of ${mb(small)} MB, of ${mb(large)} MB for an image ${LARGE} times as large`,
  };
}

const MANY = 500;

function imageListRow(...flags: readonly string[]): Measured {
  const list = ['image', 'list', ...flags];
  const none = rktWith('image-list-none');
  const many = rktWith(`image-list-${MANY}`);
  for (const { data } of [none, many]) removeData(data);
  const directory = path.join(benchDir, 'many');
  fs.mkdirSync(directory, { recursive: true });
  try {
    const files = Array.from({ length: MANY }, (_, index) => {
      const manifest = imageManifest({ name: `example.com/image${index}`, exec: ['/app'] });
      const files = [{ path: '/app', content: String(index) }];
      return writeAci(path.join(directory, `${index}.aci`), { manifest, files }).path;
    });
    timeOnce([...many.command, 'fetch', ...files]);
    timeOnce([...none.command, 'image', 'list']);
    const lines = outputOf([...many.command, 'image', 'list', '--no-legend'])
      .trim()
      .split('\n').length;
    if (lines !== MANY) throw new Error(`image list prints ${lines} lines for ${MANY} images`);
    const empty = { name: 'image list of none', command: [...none.command, ...list] };
    return ratio({ name: 'image list', command: [...many.command, ...list] }, empty, 20);
  } finally {
    for (const { data } of [none, many]) removeData(data);
    removeTree(directory);
  }
}

export const IMAGE_ROWS: readonly Row[] = [
  {
    name: 'fetch-docker',
    title: 'fetch docker:// of 5 layers, 250 MB : skopeo, umoci',
    measure: fetchDockerRow,
  },
  { name: 'fetch-again', title: 'the same again, unchanged tag : the first time', measure: fetchAgainRow },
  {
    name: 'run-docker',
    title: 'run docker://, warm : bare systemd-nspawn --boot',
    measure: runDockerRow,
  },
  { name: 'docker-memory', title: 'peak memory of fetch docker://', measure: fetchMemoryRow },
  { name: 'images-500', title: 'image list with 500 images : with none', measure: () => imageListRow() },
  {
    name: 'images-500-full',
    title: 'image list --full with 500 images : with none',
    measure: () => imageListRow('--full'),
  },
];
