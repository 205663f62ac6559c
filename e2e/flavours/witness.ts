// The pod that most checks of the conformance suite look at: it tells what it finds, stays until it is stopped, and is
// asked by every verb meanwhile. Runs in the mocha process; the script runs in pods.

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { minimalImage } from '@rkt/testkit/debian-image';

import type { Flavour } from '../lib/flavours.ts';
import { writeImage } from '../lib/images.ts';
import type { Running } from '../lib/process.ts';
import type { Rkt } from '../lib/rkt.ts';

/** Name of the witness's app. */
export const APP = 'witness';

const SCRIPT = `#!/bin/sh
echo "args=$0|$1|$2"
echo "cwd=$(pwd)"
echo "user=$(id -u):$(id -g)"
echo "descriptors=$(ls /proc/self/fd | wc -l)"
echo "kernel=$(uname -r)"
echo "hostname=$(hostname)"
echo "devices=$(echo $(ls /sys/class/net))"
sed -n 's/^\\(Groups\\|CapBnd\\|CapEff\\|NoNewPrivs\\|Seccomp\\):[[:space:]]*\\(.*[^[:space:]]\\)[[:space:]]*$/\\1=\\2/p' /proc/self/status
env | sed 's/^/env./'
[ -d /data ] && echo "data=$(cat /data/in)" && echo app > /data/out
if [ ! -d /fixed ]; then :; elif (echo x > /fixed/in) 2> /dev/null; then echo fixed=written; else echo "fixed=$(cat /fixed/in)"; fi
[ -d /empty ] && echo told > /empty/file && echo "empty=$(cat /empty/file)"
echo "implicit=$(echo /implicit/*)"
echo "this is said on stderr" >&2
trap 'echo last words; exit 42' TERM
echo ready
while :; do sleep 1; done
`;

/** A running witness. */
export interface Witness {
  readonly running: Running;
  readonly uuid: string;
  /** Value of a line `name=value` that it wrote. */
  said(name: string): string | undefined;
  /** Directory of the host that is /data in the pod. */
  readonly data: string;
}

/** How long a pod may take until its app speaks; a virtual machine without help of the processor is slow. */
export const BOOT_MS = 60_000;

/** Starts the witness; its caller ends it. */
export async function startWitness(rkt: Rkt, flavour: Flavour): Promise<Witness> {
  const [data, fixed] = ['data', 'fixed'].map((name) => {
    const path = rkt.tmp.join(`witness-${flavour.name}-${name}`);
    mkdirSync(path);
    writeFileSync(`${path}/in`, `${name} of the host\n`);
    chmodSync(path, 0o777);
    return path;
  }) as [string, string];
  const uuidFile = rkt.tmp.join(`witness-${flavour.name}-uuid`);
  rmSync(uuidFile, { force: true });
  const { volumes, emptyVolumes } = flavour.can;
  const image = writeImage(rkt, witnessImage(flavour));
  const running = rkt.start(
    flavour.run(
      `--uuid-file-save=${uuidFile}`,
      ...(volumes ? [`--volume=data,kind=host,source=${data}`] : []),
      ...(volumes ? [`--volume=fixed,kind=host,source=${fixed},readOnly=true`] : []),
      ...(emptyVolumes ? ['--volume=empty,kind=empty,mode=0777'] : []),
      '--set-env=FROM_FLAG=a  b "c" $d',
      ...(flavour.can.hostname ? ['--hostname=lighthouse'] : []),
      image,
    ),
    { env: { CALLER: 'me' }, timeoutMs: 600_000 },
  );
  await running.waitFor(/\bready\r?$/m, BOOT_MS);
  return {
    running,
    uuid: readFileSync(uuidFile, 'utf8').trim(),
    said: (name) =>
      flavour
        .linesOf(running)
        .find((line) => line.startsWith(`${name}=`))
        ?.slice(name.length + 1),
    data,
  };
}

function witnessImage({ can }: Flavour): ReturnType<typeof minimalImage> {
  const points = (...names: readonly string[]): { name: string; path: string }[] =>
    names.map((name) => ({ name, path: `/${name}` }));
  const { manifest, files = [] } = minimalImage({
    name: `example.com/${APP}`,
    exec: ['/witness', 'two words', '$HOME'],
    app: {
      user: '1000',
      group: '100',
      supplementaryGIDs: [400, 500],
      workingDirectory: '/room',
      environment: [
        { name: 'FROM_IMAGE', value: 'image' },
        { name: 'PATH', value: '/bin' },
      ],
      mountPoints: [
        ...(can.volumes ? points('data', 'fixed') : []),
        ...(can.emptyVolumes ? points('empty', 'implicit') : []),
      ],
    },
  });
  return {
    manifest,
    files: [
      ...files,
      { path: 'witness', mode: 0o755, content: SCRIPT },
      { path: 'room/' },
      // What a volume covers.
      { path: 'implicit/of-the-image', content: '' },
    ],
  };
}
