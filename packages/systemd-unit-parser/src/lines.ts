// Physical and logical lines of a unit file, cut exactly as systemd cuts them (systemd.syntax(7), read_line() and
// config_parse() of systemd 252). Pure; runs anywhere.

/** One statement of a unit file: a comment line, or the lines a trailing backslash joins. */
export interface LogicalLine {
  /** Number of its first physical line, counted from 1. */
  readonly line: number;
  /** The exact text, line ends included. */
  readonly source: string;
  /** The text with continuation backslashes replaced by a space, comments inside it dropped, without the line end. */
  readonly text: string;
  readonly comment: boolean;
}

// A line ends at CR, LF or NUL; different ones directly behind each other are one end, and NUL closes it.
const LINE_END = /(?:\r\n|\n\r|\n|\r)\0?|\0/g;
const BLANKS = ' \t\n\r';

/** The marker some editors put in front of UTF-8 text. */
export const BYTE_ORDER_MARK = '\uFEFF';

/** Physical lines of `text`, each with its end. */
export function splitLines(text: string): { readonly body: string; readonly end: string }[] {
  const lines: { body: string; end: string }[] = [];
  let start = 0;
  for (const match of text.matchAll(LINE_END)) {
    lines.push({ body: text.slice(start, match.index), end: match[0] });
    start = match.index + match[0].length;
  }
  if (start < text.length) lines.push({ body: text.slice(start), end: '' });
  return lines;
}

/**
 * Logical lines of `text`; their sources joined give `text` again. systemd drops the first byte order mark it finds
 * at the start of a line, wherever that is; `markSeen` says that it stands before `text`.
 */
export function* logicalLines(text: string, markSeen = false): Generator<LogicalLine> {
  let pending: { line: number; source: string; text: string } | undefined;
  let number = 0;
  let isMarkSeen = markSeen;
  for (const { body, end } of splitLines(text)) {
    number += 1;
    if (isComment(body)) {
      // Inside a continued statement systemd skips comment lines without ending the statement.
      if (pending === undefined) yield { line: number, source: body + end, text: body, comment: true };
      else pending.source += body + end;
      continue;
    }
    pending ??= { line: number, source: '', text: '' };
    pending.source += body + end;
    const isMark = !isMarkSeen && body.startsWith(BYTE_ORDER_MARK);
    pending.text += isMark ? body.slice(1) : body;
    isMarkSeen ||= isMark;
    if (endsInOddBackslash(pending.text)) {
      pending.text = `${pending.text.slice(0, -1)} `;
      continue;
    }
    yield { ...pending, comment: false };
    pending = undefined;
  }
  if (pending !== undefined) yield { ...pending, comment: false };
}

/**
 * How many line ends must follow `source` so that the next statement is not swallowed by it: one if the file ended
 * without a line end, more if it ended within a continuation.
 */
export function missingLineEnds(source: string): number {
  const lines = splitLines(source);
  const last = lines.at(-1);
  if (last === undefined) return 0;
  const open = lines.filter(({ body }) => !isComment(body)).at(-1);
  if (open === undefined || !endsInOddBackslash(open.body)) return last.end === '' ? 1 : 0;
  // A lone CR would melt with the LF that follows it into one line end.
  return last.end === '' || last.end === '\r' ? 2 : 1;
}

/** Whether a statement line in `source` starts with a byte order mark. */
export function hasByteOrderMark(source: string): boolean {
  return (
    source.includes(BYTE_ORDER_MARK) &&
    splitLines(source).some(({ body }) => body.startsWith(BYTE_ORDER_MARK))
  );
}

/** Whether systemd reads the line `body` as a comment. */
export function isComment(body: string): boolean {
  const text = trim(body);
  return text.startsWith('#') || text.startsWith(';');
}

/** Whether an uneven number of backslashes ends `text`: the last one then joins the next line. */
export function endsInOddBackslash(text: string): boolean {
  let count = 0;
  while (text.at(-1 - count) === '\\') count += 1;
  return count % 2 === 1;
}

/** `text` without the white space systemd strips; String.trim would also take e.g. no-break spaces. */
export function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && BLANKS.includes(text.charAt(start))) start += 1;
  while (end > start && BLANKS.includes(text.charAt(end - 1))) end -= 1;
  return text.slice(start, end);
}
