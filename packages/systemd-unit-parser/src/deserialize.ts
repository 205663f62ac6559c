// Reads unit files without losing a byte. Pure; runs anywhere.

import { UnitError } from './errors.ts';
import type { LogicalLine } from './lines.ts';
import { logicalLines, trim } from './lines.ts';
import type { Unit, UnitNode, UnitSection, UnitTrivia } from './unit.ts';

/** A line systemd would warn about and ignore. */
export interface UnitProblem {
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** Options of {@link deserialize}. */
export interface DeserializeOptions {
  /**
   * Called for each malformed line, which is then kept as `ignored`, as systemd does. Without it the first
   * malformed line throws.
   */
  readonly onProblem?: (problem: UnitProblem) => void;
}

/** What a logical line says. */
export type Statement =
  | { readonly kind: 'comment' | 'blank' }
  | { readonly kind: 'section'; readonly name: string }
  | { readonly kind: 'entry'; readonly name: string; readonly value: string }
  | { readonly kind: 'malformed'; readonly message: string };

/**
 * Reads the text of a unit file. `serialize` gives back exactly `text`, unless sections or entries are changed.
 *
 * @throws {UnitError} code `syntax` for a malformed line, unless `onProblem` is given.
 */
export function deserialize(text: string, { onProblem }: DeserializeOptions = {}): Unit {
  const preamble: UnitTrivia[] = [];
  const sections: (UnitSection & { nodes: UnitNode[] })[] = [];
  const ignore = (line: number, message: string, source: string): UnitTrivia => {
    if (onProblem === undefined) throw new UnitError('syntax', message, line);
    onProblem({ line, message });
    return { kind: 'ignored', source };
  };
  for (const logical of logicalLines(text)) {
    const { line, source } = logical;
    const statement = readStatement(logical);
    const section = sections.at(-1);
    const nodes: UnitNode[] = section?.nodes ?? preamble;
    if (statement.kind === 'section') sections.push({ name: statement.name, source, nodes: [] });
    else if (statement.kind === 'malformed') nodes.push(ignore(line, statement.message, source));
    else if (statement.kind !== 'entry') nodes.push({ kind: statement.kind, source });
    else if (section === undefined) nodes.push(ignore(line, 'assignment outside of a section', source));
    else nodes.push({ kind: 'entry', name: statement.name, value: statement.value, source });
  }
  return { preamble, sections };
}

/** Classifies one logical line. */
export function readStatement({ text, comment }: Pick<LogicalLine, 'text' | 'comment'>): Statement {
  if (comment) return { kind: 'comment' };
  const statement = trim(text);
  if (statement === '') return { kind: 'blank' };
  if (statement.startsWith('[')) {
    if (!statement.endsWith(']'))
      return { kind: 'malformed', message: `section header "${statement}" lacks "]"` };
    return { kind: 'section', name: statement.slice(1, -1) };
  }
  const equals = statement.indexOf('=');
  if (equals === -1) return { kind: 'malformed', message: `no "=" in "${statement}"` };
  if (equals === 0) return { kind: 'malformed', message: 'no name before "="' };
  return { kind: 'entry', name: trim(statement.slice(0, equals)), value: trim(statement.slice(equals + 1)) };
}
