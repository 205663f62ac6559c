// Stacks of layers as fast-check makes them: every kind of file, replaced, taken away and linked across layers. What is
// made is always valid, so that every program has to make the same of it. Runs in the test process.

import fc from 'fast-check';

import type { LayerFile } from './test-image.ts';

/** Layers, base first. */
export type LayerStack = readonly (readonly LayerFile[])[];

type Kind =
  'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'char' | 'whiteout' | 'opaque' | 'replace';

interface Step {
  readonly kind: Kind;
  /** Picks a directory, a file to link to, or what is taken away, of those there are. */
  readonly pick: number;
  readonly name: string;
  readonly content: string;
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly mtime: number;
  readonly attribute: string | undefined;
  readonly asType: 'file' | 'directory' | 'symlink' | 'fifo';
}

const NAMES = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'c',
    'usr',
    'bin',
    '.hidden',
    ' blank',
    'new\nline',
    'käse',
    'q"uote',
    '-dash',
    '...',
  ),
  fc.constant('x'.repeat(120)),
  fc
    .string({ minLength: 1, maxLength: 6 })
    .filter((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..' && !name.startsWith('.wh.')),
);

const STEP: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { weight: 5, arbitrary: fc.constant<Kind>('file') },
    { weight: 4, arbitrary: fc.constant<Kind>('directory') },
    { weight: 3, arbitrary: fc.constant<Kind>('whiteout') },
    { weight: 3, arbitrary: fc.constant<Kind>('replace') },
    { weight: 2, arbitrary: fc.constantFrom<Kind>('symlink', 'hardlink', 'opaque') },
    { weight: 1, arbitrary: fc.constantFrom<Kind>('fifo', 'char') },
  ),
  pick: fc.nat(),
  name: NAMES,
  content: fc.string({ maxLength: 700 }),
  target: fc.constantFrom('a', '../x', '/abs/olute', 'dangling/../..', 'y'.repeat(90)),
  mode: fc.constantFrom(0o644, 0o755, 0o4711, 0o2750, 0o1777, 0o000, 0o7777),
  uid: fc.constantFrom(0, 1, 1000, 70_000, 2_000_000),
  mtime: fc.constantFrom(0, 1, 1_234_567_890, 4_000_000_000),
  attribute: fc.option(fc.constantFrom('v', 'ü'), { nil: undefined }),
  asType: fc.constantFrom('file', 'directory', 'symlink', 'fifo'),
});

/** Stacks of up to five layers. */
export const LAYER_STACKS: fc.Arbitrary<LayerStack> = fc
  .array(fc.array(STEP, { maxLength: 12 }), { minLength: 1, maxLength: 5 })
  .map((layers) => {
    const below = new Model();
    return layers.map((steps) => below.layer(steps));
  });

type ModelType = 'file' | 'directory' | 'symlink' | 'other';

// What is there after the layers so far, to make only entries that mean one thing.
class Model {
  readonly #types = new Map<string, ModelType>();

  layer(steps: readonly Step[]): LayerFile[] {
    // Each name at most once in a layer, whiteouts included: their order must not matter.
    const named = new Set<string>();
    const files: LayerFile[] = [];
    const whiteouts: LayerFile[] = [];
    // Whiteouts are about what was there before the layer.
    const before = [...this.#types.keys()].sort();
    const directoriesBefore = before.filter((path) => this.#types.get(path) === 'directory');
    for (const step of steps) {
      if (step.kind === 'whiteout' || step.kind === 'opaque') {
        const path = pickOf(step.kind === 'opaque' ? directoriesBefore : before, step.pick);
        if (path === undefined || touches(named, path) || !this.#types.has(path)) continue;
        named.add(path);
        if (step.kind === 'opaque') {
          whiteouts.push({ name: `${path}/.wh..wh..opq` });
          this.#remove(`${path}/`);
        } else {
          whiteouts.push({ name: withMark(path) });
          this.#remove(path);
        }
        continue;
      }
      const file = this.#file(step, before, named);
      if (file !== undefined) files.push(file);
    }
    return [...whiteouts, ...files];
  }

  #file(step: Step, before: readonly string[], named: Set<string>): LayerFile | undefined {
    const { kind, pick, name, asType } = step;
    const paths = [...this.#types.keys()].sort();
    const parents = ['', ...paths.filter((path) => this.#types.get(path) === 'directory')];
    const replaced = kind === 'replace' ? pickOf(before, pick) : undefined;
    if (kind === 'replace' && (replaced === undefined || !this.#types.has(replaced))) return undefined;
    const parent = pickOf(parents, pick) ?? '';
    const path = replaced ?? (parent === '' ? name : `${parent}/${name}`);
    const isNew = !this.#types.has(path);
    // A name that is taken is only taken over by a step that means to.
    if (named.has(path) || touches(named, path) || (replaced === undefined && !isNew)) return undefined;
    if (path === 'dev' || path.startsWith('dev/')) return undefined;
    const type = kind === 'replace' ? asType : kind;
    const target = type === 'hardlink' ? pickOf(this.#files(paths, named), pick) : undefined;
    if (type === 'hardlink' && target === undefined) return undefined;
    if (replaced !== undefined && type !== 'directory') this.#remove(replaced);
    if (type !== 'directory' || this.#types.get(path) !== 'directory') this.#remove(path);
    named.add(path);
    // What is linked to must stay until the link is made.
    if (target !== undefined) named.add(target);
    this.#types.set(path, modelType(type));
    return entryOf(path, type, target, step);
  }

  // Files that are sure to be there when the layer is unpacked, whatever else is in it.
  #files(paths: readonly string[], named: ReadonlySet<string>): string[] {
    return paths.filter((path) => this.#types.get(path) === 'file' && !named.has(path));
  }

  #remove(prefix: string): void {
    for (const path of this.#types.keys()) {
      const below = prefix.endsWith('/') ? prefix : `${prefix}/`;
      if (path.startsWith(below) || path === prefix) this.#types.delete(path);
    }
  }
}

function modelType(type: string): ModelType {
  if (type === 'directory' || type === 'symlink') return type;
  return type === 'file' || type === 'hardlink' ? 'file' : 'other';
}

function entryOf(path: string, type: Kind, target: string | undefined, step: Step): LayerFile {
  const { content, mode, uid, mtime, attribute } = step;
  const kind = type as NonNullable<LayerFile['type']>;
  return {
    name: path,
    type: kind,
    mode,
    uid,
    gid: uid === 0 ? 5 : 0,
    mtime,
    ...(kind === 'file' && { content }),
    ...(kind === 'symlink' && { link: step.target }),
    ...(target !== undefined && { link: target }),
    ...(kind === 'file' && attribute !== undefined && { xattrs: { 'user.test': attribute } }),
  };
}

// Whether the layer already says something of the path itself, of what is above it by taking it away, or below it.
function touches(named: ReadonlySet<string>, path: string): boolean {
  for (const other of named) if (other === path || other.startsWith(`${path}/`)) return true;
  return false;
}

function withMark(path: string): string {
  const slash = path.lastIndexOf('/');
  return `${path.slice(0, slash + 1)}.wh.${path.slice(slash + 1)}`;
}

function pickOf(list: readonly string[], pick: number): string | undefined {
  return list.length === 0 ? undefined : list[pick % list.length];
}
