// What a unit file is: sections of entries, with everything between them kept. Pure; runs anywhere.
// Units are plain immutable data; editing functions return a new unit and leave untouched lines as they were.

/** `Name=Value`. */
export interface UnitEntry {
  readonly kind: 'entry';
  /** The directive, e.g. `ExecStart`. */
  readonly name: string;
  /**
   * The value as systemd sees it before it expands quotes, escapes and specifiers: continuation lines joined,
   * white space around it removed. Empty for an assignment that resets.
   */
  readonly value: string;
  /** The text the entry was read from, with its line ends; absent for entries that were built. */
  readonly source?: string;
}

/** A line (or lines joined by continuation) that assigns nothing. */
export interface UnitTrivia {
  /** `ignored` lines are malformed: systemd warns about them and goes on. */
  readonly kind: 'comment' | 'blank' | 'ignored';
  /** The text as it stands in the file, with its line end. */
  readonly source: string;
}

/** What stands inside a section, in file order. */
export type UnitNode = UnitEntry | UnitTrivia;

/** `[Name]` and what follows it. A file may hold several sections of one name. */
export interface UnitSection {
  readonly name: string;
  /** The text of the header line; absent for sections that were built. */
  readonly source?: string;
  readonly nodes: readonly UnitNode[];
}

/** A whole file. */
export interface Unit {
  /** What stands before the first section: comments, blank lines, a byte order mark. */
  readonly preamble: readonly UnitTrivia[];
  readonly sections: readonly UnitSection[];
}

/** One assignment with the section it stands in: the flat form units are built from. */
export interface UnitOption {
  readonly section: string;
  readonly name: string;
  readonly value: string;
}

/** An option; short for building lists of them. */
export function option(section: string, name: string, value: string): UnitOption {
  return { section, name, value };
}

/**
 * A unit from a flat list: sections in the order in which they first appear, all options of one section together
 * in the order given.
 */
export function unitFromOptions(options: Iterable<UnitOption>): Unit {
  const sections = new Map<string, UnitEntry[]>();
  for (const { section, name, value } of options) {
    const nodes = sections.get(section) ?? [];
    nodes.push({ kind: 'entry', name, value });
    sections.set(section, nodes);
  }
  return { preamble: [], sections: [...sections].map(([name, nodes]) => ({ name, nodes })) };
}

/** All assignments of `unit` in file order, resets included. */
export function optionsOf(unit: Unit): UnitOption[] {
  return unit.sections.flatMap((section) =>
    entriesOf(section).map(({ name, value }) => ({ section: section.name, name, value })),
  );
}

/** The assignments of one section in file order. */
export function entriesOf(section: UnitSection): UnitEntry[] {
  return section.nodes.filter((node): node is UnitEntry => node.kind === 'entry');
}

/**
 * The values of a directive over all sections of that name, as systemd collects lists: an empty assignment
 * discards what came before it (systemd.unit(5)).
 */
export function values(unit: Unit, section: string, name: string): string[] {
  let found: string[] = [];
  for (const candidate of optionsOf(unit)) {
    if (candidate.section !== section || candidate.name !== name) continue;
    found = candidate.value === '' ? [] : [...found, candidate.value];
  }
  return found;
}

/** The value of a directive that takes one: the last assignment wins, an empty one means unset. */
export function value(unit: Unit, section: string, name: string): string | undefined {
  return values(unit, section, name).at(-1);
}

/** Whether the unit has a section of that name, even an empty one. */
export function hasSection(unit: Unit, section: string): boolean {
  return unit.sections.some(({ name }) => name === section);
}

/** `unit` with one more assignment, after the last entry of the last section of that name, or in a new section at the end. */
export function withValue(unit: Unit, section: string, name: string, newValue: string): Unit {
  const entry: UnitEntry = { kind: 'entry', name, value: newValue };
  const index = unit.sections.findLastIndex((candidate) => candidate.name === section);
  if (index === -1) return { ...unit, sections: [...unit.sections, { name: section, nodes: [entry] }] };
  return replaceNodes(unit, index, (nodes) => {
    const end = nodes.findLastIndex((node) => node.kind === 'entry') + 1;
    return nodes.toSpliced(end, 0, entry);
  });
}

/** `unit` without any assignment of that directive. Sections and comments stay. */
export function withoutValue(unit: Unit, section: string, name: string): Unit {
  const keep = (node: UnitNode): boolean => node.kind !== 'entry' || node.name !== name;
  return {
    ...unit,
    sections: unit.sections.map((candidate) =>
      candidate.name === section ? { ...candidate, nodes: candidate.nodes.filter(keep) } : candidate,
    ),
  };
}

/**
 * `unit` in which the directive has exactly these values. The first assignment is replaced where it stands, so that
 * comments above it still belong to it; further values follow it, other assignments of the directive go.
 */
export function withValues(unit: Unit, section: string, name: string, newValues: readonly string[]): Unit {
  const isTarget = (node: UnitNode): boolean => node.kind === 'entry' && node.name === name;
  const index = unit.sections.findIndex((each) => each.name === section && each.nodes.some(isTarget));
  if (index === -1) return newValues.reduce((result, each) => withValue(result, section, name, each), unit);
  const at = unit.sections[index]?.nodes.findIndex(isTarget) ?? 0;
  const entries = newValues.map((each): UnitEntry => ({ kind: 'entry', name, value: each }));
  // Everything before `at` survives the removal, so the index stays true.
  return replaceNodes(withoutValue(unit, section, name), index, (nodes) =>
    nodes.toSpliced(at, 0, ...entries),
  );
}

/** A comment of one or more lines, for building units. */
export function comment(text: string): UnitTrivia {
  const lines = text.split(/[\n\r\0]+/).map((line) => (line === '' ? '#\n' : `# ${line}\n`));
  return { kind: 'comment', source: lines.join('') };
}

function replaceNodes(unit: Unit, index: number, edit: (nodes: readonly UnitNode[]) => UnitNode[]): Unit {
  const sections = unit.sections.map((section, position) =>
    position === index ? { ...section, nodes: edit(section.nodes) } : section,
  );
  return { ...unit, sections };
}
