// The abbreviation of the local time zone at a moment, e.g. CET: JavaScript knows only long names, so the system's
// zone file is asked (tzfile(5)). Runs in stage0.

import { readFileSync } from 'node:fs';
import path from 'node:path';

const ZONE_DIRECTORY = '/usr/share/zoneinfo';
const LOCAL_ZONE = '/etc/localtime';
const HEADER_SIZE = 44;

// The zone of a process does not change; a list of pods asks for it twice a row.
let variable: string | undefined;
let sources: readonly Buffer[] | undefined;

/** Says what the variable TZ is. (Node would tell the zone's name too, and takes 20 ms for it.) */
export function setZone(tz: string | undefined): void {
  variable = tz;
  sources = undefined;
}

/** Abbreviation for `date`, whose offset east of Greenwich in minutes is known; undefined if no file tells. */
export function zoneAbbreviation(date: Date, offsetMinutes: number): string | undefined {
  sources ??= zoneFiles(variable).flatMap(readZone);
  for (const data of sources) {
    const found = findAbbreviation(data, Math.floor(date.getTime() / 1000), offsetMinutes * 60);
    if (found !== undefined) return found;
  }
  // A system without zone files, or one whose TZ says so.
  return offsetMinutes === 0 ? 'UTC' : undefined;
}

/** Files that may know the zone that TZ means (tzset(3)), the likeliest first. */
export function zoneFiles(tz: string | undefined): string[] {
  if (tz === undefined) return [LOCAL_ZONE];
  const name = tz.replace(/^:/, '');
  if (name === '') return [];
  return [path.isAbsolute(name) ? name : path.join(ZONE_DIRECTORY, name), LOCAL_ZONE];
}

function readZone(file: string): Buffer[] {
  try {
    return [readFileSync(file)];
  } catch {
    // A small system has no zone files; the next source may know.
    return [];
  }
}

/** What the zone file `data` calls the offset (seconds) at `time` (seconds); undefined if it has no such offset. */
export function findAbbreviation(data: Buffer, time: number, offset: number): string | undefined {
  if (data.toString('latin1', 0, 4) !== 'TZif') return undefined;
  const first = readHeader(data, 0);
  const at = data[4] === 0 ? 0 : HEADER_SIZE + blockSize(first, 4);
  const wide = data[4] !== 0;
  const header = readHeader(data, at);
  const width = wide ? 8 : 4;
  const times = at + HEADER_SIZE;
  const indexes = times + header.times * width;
  const types = indexes + header.times;
  const names = types + header.types * 6;
  const typeAt = (index: number): { readonly offset: number; readonly name: string } => {
    const entry = types + index * 6;
    const start = names + data.readUInt8(entry + 5);
    return { offset: data.readInt32BE(entry), name: data.toString('latin1', start, data.indexOf(0, start)) };
  };
  for (let index = header.times - 1; index >= 0; index -= 1) {
    const since = wide ? Number(data.readBigInt64BE(times + index * 8)) : data.readInt32BE(times + index * 4);
    if (since > time) continue;
    const type = typeAt(data.readUInt8(indexes + index));
    if (type.offset === offset) return type.name;
    break;
  }
  // After the last transition a rule counts; its names are those of the table.
  for (let index = header.types - 1; index >= 0; index -= 1) {
    const type = typeAt(index);
    if (type.offset === offset) return type.name;
  }
  return undefined;
}

interface Header {
  readonly utFlags: number;
  readonly standardFlags: number;
  readonly leapSeconds: number;
  readonly times: number;
  readonly types: number;
  readonly nameBytes: number;
}

function readHeader(data: Buffer, at: number): Header {
  const count = (index: number): number => data.readUInt32BE(at + 20 + index * 4);
  return {
    utFlags: count(0),
    standardFlags: count(1),
    leapSeconds: count(2),
    times: count(3),
    types: count(4),
    nameBytes: count(5),
  };
}

function blockSize(header: Header, width: number): number {
  const { times, types, nameBytes, leapSeconds, standardFlags, utFlags } = header;
  return times * (width + 1) + types * 6 + nameBytes + leapSeconds * (width + 4) + standardFlags + utFlags;
}
