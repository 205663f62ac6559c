// `rkt app status` (contract stage0 8.20). Runs in stage0.

import { writeStdout } from '@rkt/diagnostics/logger';
import { quote } from '@rkt/diagnostics/quote';

import { findAppPod } from '../../app/sandbox.ts';
import { absoluteTime } from '../../cli/output.ts';
import type { AppStatusFlags, Invocation } from '../../cli/requests.ts';
import { PodError } from '../../pod/errors.ts';
import { summarizeManifest } from '../../pod/summary.ts';
import { type AppView, viewApps } from '../../pod/view.ts';

export async function run({ global, flags, args }: Invocation<AppStatusFlags>): Promise<number> {
  if (args[0] !== undefined && flags.app === '') throw new PodError('bad-flag', 'must provide the app name');
  const pod = await findAppPod(global, args[0]);
  const app = viewApps(pod, summarizeManifest(pod.dir)).find(({ name }) => name === flags.app);
  if (app === undefined) throw new PodError('app-not-found', `error: nonexistent app ${quote(flags.app)}`);
  writeStdout(flags.format === '' ? lines(app) : `${await json(app, flags.format === 'json-pretty')}\n`);
  return 0;
}

function lines(app: AppView): string {
  const time = (key: 'created_at' | 'started_at' | 'finished_at'): string[] => {
    const nanoseconds = app[key];
    return nanoseconds === undefined ? [] : [`${key}=${absoluteTime(nanoseconds / 1e6)}`];
  };
  const out = [`name=${app.name}`, `state=${app.state}`, `image_id=${app.image_id}`];
  out.push(...time('created_at'), ...time('started_at'), ...time('finished_at'));
  if (app.exit_code !== undefined) out.push(`exit_code=${app.exit_code}`);
  const mounts = (app.mounts ?? []).map(
    (mount) => `${mount.host_path}:${mount.container_path}:(read_only:${mount.read_only})`,
  );
  out.push(...listed('mounts', mounts));
  out.push(...listed('user_annotations', pairs(app.user_annotations)));
  out.push(...listed('user_labels', pairs(app.user_labels)));
  return `${out.join('\n')}\n`;
}

function listed(name: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${name}=`, items.join(','), ''];
}

function pairs(map: Readonly<Record<string, string>> = {}): string[] {
  return Object.entries(map).map(([key, value]) => `${key}:${value}`);
}

async function json(app: AppView, pretty: boolean): Promise<string> {
  const { stringifyGoJson } = await import('@rkt/spec/go-json');
  return stringifyGoJson(app, pretty ? { indent: '\t' } : {});
}
