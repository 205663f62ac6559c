// Finds `<meta name=... content=...>` start tags in a page, in one pass whatever the page looks like:
// comments and the text of scripts and the like do not count (contract stage0 4.7). Pure; runs in every
// process.

/** One meta tag that has both attributes. */
export interface MetaTag {
  readonly name: string;
  readonly content: string;
}

interface StartTag {
  readonly attributes: ReadonlyMap<string, string>;
  /** Index behind the closing `>`. */
  readonly end: number;
}

const TAG_NAME = /<([A-Za-z][^\s/>]*)/y;
const BETWEEN_ATTRIBUTES = /[\s/]*/y;
const ATTRIBUTE_NAME = /=?[^\s/>=]*/y;
const SPACE = /\s*/y;
const UNQUOTED_VALUE = /[^\s>]*/y;

// Elements whose content is text up to their own end tag.
const TEXT_END: ReadonlyMap<string, RegExp> = new Map(
  ['script', 'style', 'textarea', 'title'].map((name) => [name, new RegExp(`</${name}`, 'gi')]),
);

/** The meta tags of `html` in order, wherever they are. */
export function metaTags(html: string): MetaTag[] {
  const found: MetaTag[] = [];
  for (let at = html.indexOf('<'); at !== -1; at = html.indexOf('<', at)) {
    if (html.startsWith('<!--', at)) {
      const end = html.indexOf('-->', at + 2);
      if (end === -1) break;
      at = end + 3;
      continue;
    }
    const opening = matchAt(TAG_NAME, html, at);
    if (opening === '') {
      at += 1;
      continue;
    }
    const element = opening.slice(1).toLowerCase();
    const tag = readAttributes(html, at + opening.length);
    if (tag === undefined) break;
    at = tag.end;
    if (element === 'meta') {
      const name = tag.attributes.get('name');
      const content = tag.attributes.get('content');
      if (name !== undefined && content !== undefined) found.push({ name, content });
    }
    const textEnd = TEXT_END.get(element);
    if (textEnd !== undefined) {
      textEnd.lastIndex = at;
      const end = textEnd.exec(html);
      if (end === null) break;
      at = end.index;
    }
  }
  return found;
}

// Undefined when the page ends inside the tag.
function readAttributes(html: string, start: number): StartTag | undefined {
  const attributes = new Map<string, string>();
  let at = start;
  const take = (pattern: RegExp): string => {
    const text = matchAt(pattern, html, at);
    at += text.length;
    return text;
  };
  for (;;) {
    take(BETWEEN_ATTRIBUTES);
    if (at >= html.length) return undefined;
    if (html[at] === '>') return { attributes, end: at + 1 };
    const name = take(ATTRIBUTE_NAME).toLowerCase();
    take(SPACE);
    let value = '';
    if (html[at] === '=') {
      at += 1;
      take(SPACE);
      const mark = html[at];
      if (mark === '"' || mark === "'") {
        const end = html.indexOf(mark, at + 1);
        if (end === -1) return undefined;
        value = html.slice(at + 1, end);
        at = end + 1;
      } else {
        value = take(UNQUOTED_VALUE);
      }
    }
    if (!attributes.has(name)) attributes.set(name, decodeReferences(value));
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function decodeReferences(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));/g,
    (_all, dec, hex, name) => {
      if (name !== undefined) return NAMED[name] ?? '';
      const code = dec === undefined ? Number.parseInt(hex, 16) : Number(dec);
      return code <= 0x10ffff ? String.fromCodePoint(code).toWellFormed() : '\ufffd';
    },
  );
}
