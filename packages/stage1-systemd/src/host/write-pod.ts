// Writes what systemd inside the pod reads: units, environments, accounts, the machine id. Runs in the run entry point,
// on the host. The root is the image's own, which we trust as we trust our own program from it; the apps' roots in it
// are not written to here.

import { chownSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';

import type { Stage1Root } from '@rkt/pod-layout/pod-paths';
import {
  ENV_DIR,
  envFileIn,
  MACHINE_ID,
  muxDirIn,
  muxEnvFileIn,
  onHost,
  RESERVED_DIR,
  reservedFileIn,
  unitFile,
} from '@rkt/pod-layout/stage1-paths';
import { appEnvironment } from '@rkt/stage1-base/app-env';
import type { BoundAddress } from '@rkt/stage1-base/bound-addresses';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { writeNew } from '@rkt/stage1-base/write-new';
import { serializeOptions } from 'systemd-unit-parser/serialize';
import type { UnitOption } from 'systemd-unit-parser/unit';

import { withAccounts } from './accounts.ts';
import type { AppPlan, PodPlan } from './app-plan.ts';
import { appUnit, appUnitName } from './app-unit.ts';
import { environmentFile } from './env-file.ts';
import { isAttachable, muxEnvironment } from './io-modes.ts';
import { podUnits, type PodUnitOptions } from './pod-units.ts';
import { EARLY_TARGET, earlyTarget, hasSockets, socketUnit, socketUnitName } from './socket-unit.ts';

const FILE_MODE = 0o644;
/** Of an environment with the token of the metadata service in it. */
const SECRET_FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o755;
/** Of what only root of the pod, and of the host, connects to. */
const PRIVATE_DIRECTORY_MODE = 0o700;

/** Room for an exit status: blanks, which the number is written over. */
const NO_STATUS = '    \n';

/** Reasons why apps cannot be started, by app; told when systemd has failed to. */
const DIAGNOSIS_DIR = '/rkt/diagnosis';

/** Options of {@link writePod}. */
export interface WritePodOptions extends PodPlan, Pick<PodUnitOptions, 'podResources'> {
  readonly uuid: string;
  readonly warn: (line: string) => void;
  /** Of a pod that is registered with the metadata service. */
  readonly metadataUrl?: string | undefined;
  /** Sockets that rkt was started with. */
  readonly sockets?: readonly BoundAddress[];
  /** Whether the pod has the network of the host. */
  readonly hostNetwork?: boolean;
  /** Why an app cannot start in its directory or its program not be executed, if so. */
  readonly diagnose: (plan: AppPlan) => Promise<string | undefined>;
}

/** Writes everything into stage1. @throws RktError for an app that no unit can describe */
export async function writePod(
  { stage1, apps: loaded, manifest }: LoadedPod,
  apps: readonly AppPlan[],
  options: WritePodOptions,
): Promise<void> {
  await writeApps({ stage1, manifest }, apps, options);
  const activated = loaded.filter(hasSockets);
  if (activated.length > 0) writeUnit(stage1, EARLY_TARGET, earlyTarget(activated.map(({ name }) => name)));
  const names = loaded.map(({ name }) => name);
  for (const [name, unit] of podUnits(names, options)) writeUnit(stage1, name, unit);
  writeNew(onHost(stage1, MACHINE_ID), `${options.uuid.replaceAll('-', '')}\n`, FILE_MODE);
}

/** Writes what is of these apps alone: of all apps of a pod, or of one that is added to it. @throws as writePod */
export async function writeApps(
  { stage1, manifest }: Pick<LoadedPod, 'stage1' | 'manifest'>,
  apps: readonly AppPlan[],
  options: WritePodOptions,
): Promise<void> {
  for (const plan of apps) {
    const { loaded } = plan;
    writeUnit(stage1, appUnitName(loaded.name), appUnit(plan, options));
    if (hasSockets(loaded)) {
      writeUnit(
        stage1,
        socketUnitName(loaded.name),
        socketUnit(
          loaded,
          manifest,
          { given: options.sockets ?? [], hostNetwork: options.hostNetwork ?? false },
          options.warn,
        ),
      );
    }
  }
  mkdirSync(onHost(stage1, ENV_DIR), { recursive: true, mode: DIRECTORY_MODE });
  for (const { loaded: app } of apps) {
    const file = onHost(stage1, envFileIn(app.name));
    const text = environmentFile(appEnvironment(app, options.metadataUrl));
    writeNew(file, text, options.metadataUrl === undefined ? FILE_MODE : SECRET_FILE_MODE);
    // In a user namespace the pod's root, who has to read it, is the owner of the tree.
    if (options.metadataUrl !== undefined) giveToOwnerOf(stage1, file);
  }
  mkdirSync(onHost(stage1, RESERVED_DIR), { recursive: true, mode: DIRECTORY_MODE });
  for (const { loaded: app } of apps) {
    const file = onHost(stage1, reservedFileIn(app.name));
    writeNew(file, NO_STATUS, FILE_MODE);
    giveToOwnerOf(stage1, file);
  }
  for (const plan of apps) if (isAttachable(plan.loaded, options.interactive)) writeMux(stage1, plan);
  writeAccounts(stage1, apps);
  await writeDiagnoses(stage1, apps, options);
}

/** Deletes what {@link writeApps} wrote of an app; accounts stay, others may have them. */
export function deleteAppFiles(stage1: Stage1Root, app: string): void {
  for (const file of [
    unitFile(stage1, appUnitName(app)),
    unitFile(stage1, socketUnitName(app)),
    onHost(stage1, envFileIn(app)),
    onHost(stage1, reservedFileIn(app)),
    onHost(stage1, `${DIAGNOSIS_DIR}/${app}`),
  ]) {
    rmSync(file, { force: true });
  }
  rmSync(onHost(stage1, muxDirIn(app)), { recursive: true, force: true });
}

function writeMux(stage1: Stage1Root, { loaded, credentials }: AppPlan): void {
  const directory = onHost(stage1, muxDirIn(loaded.name));
  mkdirSync(directory, { recursive: true, mode: PRIVATE_DIRECTORY_MODE });
  writeNew(onHost(stage1, muxEnvFileIn(loaded.name)), muxEnvironment(loaded, credentials), FILE_MODE);
  giveToOwnerOf(stage1, directory);
}

function giveToOwnerOf(root: Stage1Root, file: string): void {
  const { uid, gid } = statSync(root);
  chownSync(file, uid, gid);
}

function writeUnit(root: Stage1Root, name: string, unit: readonly UnitOption[]): void {
  writeNew(unitFile(root, name), serializeOptions(unit), FILE_MODE);
}

function writeAccounts(root: Stage1Root, apps: readonly AppPlan[]): void {
  // The image knows root.
  const ids = apps.flatMap(({ credentials: { uid, gid, supplementaryGids } }) => [
    uid,
    gid,
    ...supplementaryGids,
  ]);
  if (ids.every((id) => id === 0)) return;
  const [passwd, group] = [onHost(root, '/etc/passwd'), onHost(root, '/etc/group')];
  const files = { passwd: readFileSync(passwd, 'utf8'), group: readFileSync(group, 'utf8') };
  const wanted = withAccounts(
    files,
    apps.map(({ credentials }) => credentials),
  );
  if (wanted.passwd !== files.passwd) writeNew(passwd, wanted.passwd, FILE_MODE);
  if (wanted.group !== files.group) writeNew(group, wanted.group, FILE_MODE);
}

async function writeDiagnoses(
  root: Stage1Root,
  apps: readonly AppPlan[],
  { diagnose }: WritePodOptions,
): Promise<void> {
  for (const plan of apps) {
    const reason = await diagnose(plan);
    if (reason === undefined) continue;
    const directory = onHost(root, DIAGNOSIS_DIR);
    mkdirSync(directory, { recursive: true, mode: DIRECTORY_MODE });
    writeFileSync(`${directory}/${plan.loaded.name}`, `${reason}\n`, { mode: FILE_MODE });
  }
}
