// Records of pax extended headers, as bytes: values of extended attributes and names need not be UTF-8. Pure; runs in
// stage0. (node-tar's Pax makes text of them.)

import { refuse } from './errors.ts';

/** Values by key. */
export type PaxRecords = ReadonlyMap<string, Buffer>;

/**
 * The records `LENGTH KEY=VALUE\n` of one extended header. The last of equal keys counts, except the keys of sparse
 * maps that repeat by design; those are joined with commas.
 * @throws UnpackError `bad-archive`
 */
export function parsePaxRecords(bytes: Buffer, where: string): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length;) {
    // Some writers pad with NUL.
    if (bytes[at] === 0 && bytes.subarray(at).every((byte) => byte === 0)) break;
    const space = bytes.indexOf(0x20, at);
    const digits = space === -1 ? '' : bytes.toString('latin1', at, space);
    const length = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = bytes.indexOf(0x3d, space);
    if (length === 0 || end > bytes.length || equals === -1 || equals >= end || bytes[end - 1] !== 0x0a) {
      refuse('bad-archive', `bad pax header ${where}`);
    }
    const key = bytes.toString('utf8', space + 1, equals);
    const value = Buffer.from(bytes.subarray(equals + 1, end - 1));
    const earlier = REPEATED_KEYS.has(key) ? records.get(key) : undefined;
    records.set(key, earlier === undefined ? value : Buffer.concat([earlier, COMMA, value]));
    at = end;
  }
  return records;
}

const COMMA = Buffer.from(',');
const REPEATED_KEYS = new Set(['GNU.sparse.offset', 'GNU.sparse.numbytes']);

/** A record as a whole number. @throws UnpackError `bad-archive` when it is none or beyond 2^53. */
export function paxInteger(records: PaxRecords, key: string, where: string): number | undefined {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const text = value.toString('latin1');
  const number = /^-?[0-9]{1,17}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(number)) refuse('bad-archive', `bad ${key} in the pax header ${where}`);
  return number;
}

/** A record that is a time, in nanoseconds since 1970; undefined when absent or no number. */
export function paxTime(records: PaxRecords, key: string): bigint | undefined {
  const match = /^(-?)([0-9]{1,20})(?:\.([0-9]*))?$/.exec(records.get(key)?.toString('latin1') ?? '');
  if (match === null) return undefined;
  const [, sign, seconds = '0', fraction = ''] = match;
  const ns = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -ns : ns;
}

/** A record as text; for keys whose values are names, take the bytes. */
export function paxText(records: PaxRecords, key: string): string | undefined {
  return records.get(key)?.toString('utf8');
}
