// The units of a pod that depend on which apps it has (contract 2.5; what differs is in docs/decisions/0004). The
// others are files of the stage1 image. Pure.

import { option, type UnitOption } from 'systemd-unit-parser/unit';

import { appUnitName, HALTED_TARGET } from './app-unit.ts';

/** What the pod-level units depend on beside the apps. */
export interface PodUnitOptions {
  /** The pod is up without apps, too. */
  readonly mutable?: boolean;
  /** Directives that bound all apps together, name and value. */
  readonly podResources?: readonly (readonly [name: string, value: string])[];
}

/** The pod-level units, by file name. */
export function podUnits(
  apps: readonly string[],
  { mutable = false, podResources = [] }: PodUnitOptions = {},
): ReadonlyMap<string, readonly UnitOption[]> {
  return new Map([
    ...(podResources.length === 0 ? [] : [[UNITS_SLICE, unitsSlice(podResources)] as const]),
    ['default.target', [...defaultTarget(apps), ...(mutable ? KEEPS_POD : [])]],
    ['halting.socket', haltingSocket(apps)],
    [HALTED_TARGET, [...haltedTarget(apps), ...(mutable ? [unit('Conflicts', 'default.target')] : [])]],
  ]);
}

/** Where systemd puts every service that says nothing else, so all apps. */
const UNITS_SLICE = 'system.slice';

function unitsSlice(resources: NonNullable<PodUnitOptions['podResources']>): UnitOption[] {
  return [
    unit('Description', 'The apps of the pod'),
    ...resources.map(([name, value]) => option('Slice', name, value)),
  ];
}

/** Reached when all apps have been started. */
function defaultTarget(apps: readonly string[]): UnitOption[] {
  return [
    unit('Description', 'rkt apps target'),
    unit('DefaultDependencies', 'false'),
    unit('Wants', 'supervisor-ready.service'),
    unit('Before', 'supervisor-ready.service'),
    ...apps.flatMap((app) => [unit('After', appUnitName(app)), unit('Wants', appUnitName(app))]),
  ];
}

/**
 * Marks that the pod is being stopped: systemd makes the fifo by itself, no process is needed. It waits for those who
 * are writing the status of an app that ended by itself, so that they do not see the mark.
 */
function haltingSocket(apps: readonly string[]): UnitOption[] {
  return [
    unit('Description', 'The pod is being stopped'),
    unit('DefaultDependencies', 'false'),
    ...apps.flatMap((app) => [
      unit('After', `reaper@${app}.service`),
      unit('After', `reaped@${app}.service`),
    ]),
    option('Socket', 'ListenFIFO', '/run/rkt-halting'),
    option('Socket', 'Service', 'mark.service'),
  ];
}

/** Stops what still runs. */
function haltedTarget(apps: readonly string[]): UnitOption[] {
  return [
    unit('Description', 'The apps are stopped'),
    unit('DefaultDependencies', 'false'),
    ...apps.map((app) => unit('Conflicts', appUnitName(app))),
  ];
}

const KEEPS_POD: readonly UnitOption[] = [
  option('Unit', 'Wants', 'pod.target'),
  option('Unit', 'After', 'pod.target'),
];

const unit = (name: string, value: string): UnitOption => option('Unit', name, value);
