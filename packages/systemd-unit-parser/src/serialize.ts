// Writes unit files: what was read comes out as it was, what was built comes out in one canonical form. Pure; runs
// anywhere.

import type { Statement } from './deserialize.ts';
import { readStatement } from './deserialize.ts';
import { UnitError } from './errors.ts';
import {
  BYTE_ORDER_MARK,
  endsInOddBackslash,
  hasByteOrderMark,
  isComment,
  logicalLines,
  missingLineEnds,
  splitLines,
  trim,
} from './lines.ts';
import type { Unit, UnitEntry, UnitNode, UnitOption, UnitSection } from './unit.ts';
import { unitFromOptions } from './unit.ts';

const LINE_END = /[\n\r\0]/;

/**
 * The text of `unit`. Nodes that were read and not changed keep their text byte for byte. Built sections and entries
 * become `[Section]` and `Name=Value` lines with one empty line before each section but the first; they end their
 * lines as the rest of the file does.
 *
 * @throws {UnitError} code `unrepresentable` for a name or value that no unit file can hold.
 */
export function serialize(unit: Unit): string {
  const eol = lineEnd(unit);
  let text = '';
  // A line that was the last of its file may lack its end; it needs one when something comes after it.
  let last = '';
  let markSeen = false;
  const append = (source: string): void => {
    if (source === '') return;
    text += eol.repeat(missingLineEnds(last)) + source;
    last = source;
    markSeen ||= hasByteOrderMark(source);
  };
  for (const { source } of unit.preamble) append(source);
  for (const section of unit.sections) {
    if (section.source === undefined && text !== '' && !endsInBlankLine(text)) {
      append(`${eol.repeat(missingLineEnds(last))}${eol}`);
      last = '';
    }
    append(headerText(section, eol, markSeen));
    for (const node of section.nodes) append(nodeText(node, eol, markSeen));
  }
  return text;
}

/** The canonical text of a flat list of options: grouped by section in order of first appearance. */
export function serializeOptions(options: Iterable<UnitOption>): string {
  return serialize(unitFromOptions(options));
}

function headerText({ name, source }: UnitSection, eol: string, markSeen: boolean): string {
  const isSame = (statement: Statement): boolean => statement.kind === 'section' && statement.name === name;
  if (source !== undefined && isSame(read(source, markSeen))) return source;
  if (LINE_END.test(name))
    throw new UnitError('unrepresentable', `line break in section name ${JSON.stringify(name)}`);
  return `[${name}]${eol}`;
}

function nodeText(node: UnitNode, eol: string, markSeen: boolean): string {
  if (node.kind === 'entry') return entryText(node, eol, markSeen);
  // A line that was ignored only because a byte order mark stood elsewhere must not come to life.
  const wakesUp = node.kind === 'ignored' && ['section', 'entry'].includes(read(node.source, markSeen).kind);
  return wakesUp && hasByteOrderMark(node.source) ? '' : node.source;
}

function entryText({ name, value, source }: UnitEntry, eol: string, markSeen: boolean): string {
  // The source counts only while it still says the same, so that a copied entry with a new value is not lost.
  const isSame = (statement: Statement): boolean =>
    statement.kind === 'entry' && statement.name === name && statement.value === value;
  if (source !== undefined && isSame(read(source, markSeen))) return source;
  checkName(name);
  checkValue(name, value);
  // A space keeps a byte order mark from being dropped, and a final backslash from joining the next line; both are
  // stripped when read.
  const before = name.startsWith(BYTE_ORDER_MARK) ? ' ' : '';
  return `${before}${name}=${value}${endsInOddBackslash(value) ? ' ' : ''}${eol}`;
}

function read(source: string, markSeen: boolean): Statement {
  const [line, ...rest] = logicalLines(source, markSeen);
  if (line === undefined || rest.length > 0) return { kind: 'malformed', message: 'not one statement' };
  return readStatement(line);
}

function checkName(name: string): void {
  const refuse = (reason: string): never => {
    throw new UnitError('unrepresentable', `${reason} in option name ${JSON.stringify(name)}`);
  };
  if (name === '') refuse('nothing');
  if (LINE_END.test(name)) refuse('line break');
  if (name.includes('=')) refuse('"="');
  if (trim(name) !== name) refuse('white space around the text');
  if (name.startsWith('[') || isComment(name)) refuse('"[", "#" or ";" at the start');
}

function checkValue(name: string, value: string): void {
  if (LINE_END.test(value)) throw new UnitError('unrepresentable', `line break in the value of ${name}`);
  if (trim(value) !== value)
    throw new UnitError('unrepresentable', `white space around the value of ${name}`);
}

function lineEnd(unit: Unit): string {
  const sources = [...unit.preamble, ...unit.sections, ...unit.sections.flatMap(({ nodes }) => nodes)];
  for (const { source = '' } of sources) {
    const end = splitLines(source)[0]?.end ?? '';
    if (end === '\r\n' || end === '\n') return end;
  }
  return '\n';
}

function endsInBlankLine(text: string): boolean {
  return /(?:^|\r\n|\n)\r?\n$/.test(text);
}
