// `rkt cat-manifest` (contract stage0 8.18). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { serializePodManifest } from '@rkt/spec/pod-manifest';

import type { CatManifestFlags, Invocation } from '../cli/requests.ts';
import { resolveDataDir } from '../config/data-dir.ts';
import { during } from '../pod/context.ts';
import { readUuidFile, resolvePod } from '../pod/find.ts';
import { readPodManifest } from '../pod/manifests.ts';

export async function run({ global, flags, args }: Invocation<CatManifestFlags>): Promise<number> {
  const argument = flags.uuidFile === undefined ? (args[0] ?? '') : readUuidFile(flags.uuidFile);
  const data = await resolveDataDir(global);
  const pod = during('problem retrieving pod', () => resolvePod(data, argument));
  const manifest = during('cannot read pod manifest', () => readPodManifest(pod.dir));
  writeStdout(`${serializePodManifest(manifest, flags.prettyPrint ? '\t' : undefined)}\n`);
  return 0;
}
