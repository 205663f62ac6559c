// All commands by name; what each needs is loaded when it is called. Runs in stage0.

import type { CommandSpec } from './command.ts';

/** A word of the command line: a command, or a group of them. */
export interface CommandNode {
  readonly name: string;
  /** One line for lists of commands. */
  readonly summary: string;
  readonly hidden?: boolean;
  readonly children?: readonly CommandNode[];
  readonly spec?: () => Promise<CommandSpec>;
}

const app =
  (pick: (specs: typeof import('./specs/app.ts')) => CommandSpec) => async (): Promise<CommandSpec> =>
    pick(await import('./specs/app.ts'));
const basic =
  (pick: (specs: typeof import('./specs/basic.ts')) => CommandSpec) => async (): Promise<CommandSpec> =>
    pick(await import('./specs/basic.ts'));
const launch =
  (pick: (specs: typeof import('./specs/launch.ts')) => CommandSpec) => async (): Promise<CommandSpec> =>
    pick(await import('./specs/launch.ts'));
const pods =
  (pick: (specs: typeof import('./specs/pods.ts')) => CommandSpec) => async (): Promise<CommandSpec> =>
    pick(await import('./specs/pods.ts'));
const images =
  (pick: (specs: typeof import('./specs/images.ts')) => CommandSpec) => async (): Promise<CommandSpec> =>
    pick(await import('./specs/images.ts'));
const services =
  (pick: (specs: typeof import('./specs/services.ts')) => CommandSpec) => async (): Promise<CommandSpec> =>
    pick(await import('./specs/services.ts'));

/** The tree of contract stage0 1.1. */
export const COMMAND_TREE: CommandNode = {
  name: 'rkt',
  summary: 'rkt, the application container runtime',
  children: [
    {
      name: 'api-service',
      summary: 'Tell other programs about pods and images',
      spec: services((specs) => specs.apiService),
    },
    {
      name: 'app',
      summary: 'Work with the apps of a pod that runs',
      children: [
        { name: 'add', summary: 'Add an app to a sandbox', spec: app((specs) => specs.add) },
        { name: 'exec', summary: 'Run a command inside an app', spec: app((specs) => specs.exec) },
        { name: 'list', summary: 'List the apps of a pod', spec: app((specs) => specs.list) },
        { name: 'rm', summary: 'Remove an app from a sandbox', spec: app((specs) => specs.rm) },
        { name: 'sandbox', summary: 'Run a pod without apps', spec: app((specs) => specs.sandbox) },
        { name: 'start', summary: 'Start an app of a sandbox', spec: app((specs) => specs.start) },
        { name: 'status', summary: 'Show the state of an app', spec: app((specs) => specs.status) },
        { name: 'stop', summary: 'Stop an app of a sandbox', spec: app((specs) => specs.stop) },
      ],
    },
    {
      name: 'attach',
      summary: 'Connect to the streams or the terminal of an app',
      spec: pods((specs) => specs.attach),
    },
    {
      name: 'cat-manifest',
      summary: 'Print the manifest of a pod',
      spec: pods((specs) => specs.catManifest),
    },
    {
      name: 'completion',
      summary: 'Print a shell completion script',
      spec: basic((specs) => specs.completion),
    },
    {
      name: 'config',
      summary: 'Print the merged configuration as JSON',
      spec: basic((specs) => specs.config),
    },
    { name: 'enter', summary: 'Run a command inside a running pod', spec: pods((specs) => specs.enter) },
    {
      name: 'export',
      summary: 'Save an app of an exited pod as an image file',
      spec: pods((specs) => specs.exportPod),
    },
    { name: 'fetch', summary: 'Put images into the store', spec: launch((specs) => specs.fetch) },
    { name: 'gc', summary: 'Delete pods that are no longer needed', spec: pods((specs) => specs.gc) },
    { name: 'help', summary: 'Explain a command', spec: basic((specs) => specs.help) },
    {
      name: 'image',
      summary: 'Work with the images in the store',
      children: [
        {
          name: 'cat-manifest',
          summary: 'Print the manifest of an image',
          spec: images((specs) => specs.catManifest),
        },
        {
          name: 'export',
          summary: 'Save an image of the store as a file',
          spec: images((specs) => specs.exportImage),
        },
        {
          name: 'extract',
          summary: 'Unpack one image into a directory',
          spec: images((specs) => specs.extract),
        },
        {
          name: 'fetch',
          summary: 'Put images into the store',
          hidden: true,
          spec: launch((specs) => specs.fetch),
        },
        {
          name: 'fsck',
          summary: 'Check all that is stored, and repair it',
          spec: images((specs) => specs.fsck),
        },
        {
          name: 'gc',
          summary: 'Delete images that were not used for a while',
          spec: images((specs) => specs.gc),
        },
        { name: 'list', summary: 'List the images in the store', spec: images((specs) => specs.list) },
        {
          name: 'render',
          summary: 'Unpack an image with its dependencies into a directory',
          spec: images((specs) => specs.render),
        },
        { name: 'rm', summary: 'Delete images', spec: images((specs) => specs.rm) },
        {
          name: 'verify',
          summary: 'Check rendered images against their hashes',
          spec: images((specs) => specs.verify),
        },
      ],
    },
    { name: 'list', summary: 'List pods', spec: pods((specs) => specs.list) },
    { name: 'logs', summary: 'Print what the apps of a pod wrote', spec: pods((specs) => specs.logs) },
    {
      name: 'metadata-service',
      summary: 'Serve apps their metadata',
      spec: services((specs) => specs.metadataService),
    },
    {
      name: 'prepare',
      summary: 'Make a pod ready without running it',
      spec: launch((specs) => specs.prepare),
    },
    { name: 'rm', summary: 'Delete pods that do not run', spec: pods((specs) => specs.rm) },
    { name: 'run', summary: 'Run images as the apps of a new pod', spec: launch((specs) => specs.run) },
    { name: 'run-prepared', summary: 'Run a prepared pod', spec: launch((specs) => specs.runPrepared) },
    { name: 'status', summary: 'Show the state of a pod', spec: pods((specs) => specs.status) },
    { name: 'stop', summary: 'Stop running pods', spec: pods((specs) => specs.stop) },
    {
      name: 'trust',
      summary: 'Trust a key to sign images',
      spec: async () => (await import('./specs/trust.ts')).trust,
    },
    { name: 'version', summary: 'Print version information', spec: basic((specs) => specs.version) },
  ],
};
