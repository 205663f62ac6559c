// The app section of image and pod manifests (contract stage0 3.3). Pure; runs in every process.

import {
  defaulted,
  integer,
  list,
  optional,
  refine,
  required,
  stringMap,
  struct,
  systemText,
} from './codec.ts';
import type { Codec } from './codec.ts';
import { Environment } from './environment.ts';
import type { EnvironmentVariable } from './environment.ts';
import { refuse } from './errors.ts';
import { EventHandlers } from './event-handler.ts';
import type { EventHandler } from './event-handler.ts';
import { Exec } from './exec.ts';
import { AppIsolators } from './isolator.ts';
import type { Isolator } from './isolator.ts';
import { MountPoint } from './mount-point.ts';
import { Port } from './port.ts';

export interface App {
  readonly exec: Exec;
  readonly eventHandlers?: readonly EventHandler[];
  /** Name, number, or a path of the image whose owner is meant. */
  readonly user: string;
  /** As user; a path stands for its group. */
  readonly group: string;
  readonly supplementaryGIDs?: readonly number[];
  readonly workingDirectory?: string;
  readonly environment?: readonly EnvironmentVariable[];
  readonly mountPoints?: readonly MountPoint[];
  readonly ports?: readonly Port[];
  readonly isolators?: readonly Isolator[];
  readonly userAnnotations?: Readonly<Record<string, string>>;
  readonly userLabels?: Readonly<Record<string, string>>;
}

const nonEmpty = (complaint: string): Codec<string> =>
  refine(systemText, (value) => (value === '' ? refuse(complaint) : value));

const WorkingDirectory = refine(systemText, (path) =>
  path === '' || path.startsWith('/') ? path : refuse('workingDirectory must be an absolute path'),
);

const GroupId = integer(0, 2 ** 32 - 2, 'group id must be in 0-4294967294 range');

export const App: Codec<App> = struct<App>('App', {
  exec: defaulted(Exec, []),
  eventHandlers: optional(EventHandlers),
  user: required(nonEmpty('user is required'), 'user is required'),
  group: required(nonEmpty('group is required'), 'group is required'),
  supplementaryGIDs: optional(list(GroupId)),
  workingDirectory: optional(WorkingDirectory),
  environment: optional(Environment),
  mountPoints: optional(list(MountPoint)),
  ports: optional(list(Port)),
  isolators: optional(AppIsolators),
  userAnnotations: optional(stringMap),
  userLabels: optional(stringMap),
});
