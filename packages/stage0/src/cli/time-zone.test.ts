// Abbreviations out of zone files (tzfile(5)).

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

import { findAbbreviation, setZone, zoneAbbreviation, zoneFiles } from './time-zone.ts';

interface Zone {
  readonly transitions: readonly (readonly [time: number, type: number])[];
  readonly types: readonly (readonly [offset: number, name: string])[];
}

// One block of a zone file, with times of 4 or 8 bytes.
function block({ transitions, types }: Zone, wide: boolean, version: number): Buffer {
  const names = Buffer.from(types.map(([, name]) => `${name}\0`).join(''), 'latin1');
  const header = Buffer.alloc(44);
  header.write('TZif', 'latin1');
  header[4] = version;
  header.writeUInt32BE(transitions.length, 32);
  header.writeUInt32BE(types.length, 36);
  header.writeUInt32BE(names.length, 40);
  const times = transitions.map(([time]) => {
    const bytes = Buffer.alloc(wide ? 8 : 4);
    if (wide) bytes.writeBigInt64BE(BigInt(time));
    else bytes.writeInt32BE(time);
    return bytes;
  });
  let nameAt = 0;
  const records = types.map(([offset, name]) => {
    const bytes = Buffer.alloc(6);
    bytes.writeInt32BE(offset);
    bytes[5] = nameAt;
    nameAt += name.length + 1;
    return bytes;
  });
  return Buffer.concat([
    header,
    ...times,
    Buffer.from(transitions.map(([, type]) => type)),
    ...records,
    names,
  ]);
}

const BERLIN: Zone = {
  transitions: [
    [0, 1],
    [1_000, 0],
    [2_000, 2],
  ],
  types: [
    [7200, 'CEST'],
    [3600, 'CET'],
    [7200, 'XEST'],
  ],
};

const EMPTY: Zone = { transitions: [], types: [[0, 'UTC']] };

describe('findAbbreviation', () => {
  const modern = Buffer.concat([
    block(EMPTY, false, 50),
    block(BERLIN, true, 50),
    Buffer.from('\nCET-1CEST\n'),
  ]);
  it('asks the transition in force', () => {
    assert.equal(findAbbreviation(modern, 500, 3600), 'CET');
    assert.equal(findAbbreviation(modern, 1500, 7200), 'CEST');
    assert.equal(findAbbreviation(modern, 2500, 7200), 'XEST');
  });
  it('asks the table where a rule counts', () => {
    assert.equal(findAbbreviation(modern, 9_000, 3600), 'CET');
    assert.equal(findAbbreviation(modern, -1, 3600), 'CET');
  });
  it('reads old files', () => {
    assert.equal(findAbbreviation(block(BERLIN, false, 0), 1500, 7200), 'CEST');
  });
  it('knows nothing of other offsets and other files', () => {
    assert.equal(findAbbreviation(modern, 500, 60), undefined);
    assert.equal(findAbbreviation(Buffer.from('nonsense'), 500, 60), undefined);
  });
});

describe('zoneAbbreviation', () => {
  afterEach(() => setZone(undefined));

  it('asks the file that TZ names, and that of the system', () => {
    assert.deepEqual(zoneFiles(undefined), ['/etc/localtime']);
    assert.deepEqual(zoneFiles(''), []);
    assert.deepEqual(zoneFiles(':Europe/Berlin'), ['/usr/share/zoneinfo/Europe/Berlin', '/etc/localtime']);
    assert.deepEqual(zoneFiles('/my/zone'), ['/my/zone', '/etc/localtime']);
  });

  it('says UTC where nothing else is known, of that offset alone', () => {
    for (const tz of ['', 'No/Such_Zone', 'CET-1CEST']) {
      setZone(tz);
      assert.equal(zoneAbbreviation(new Date(0), 0), 'UTC', tz);
      assert.equal(zoneAbbreviation(new Date(0), 17), undefined, tz);
    }
  });

  it('is that of the zone', function () {
    if (!existsSync('/usr/share/zoneinfo/Europe/Berlin')) this.skip();
    setZone('Europe/Berlin');
    assert.equal(zoneAbbreviation(new Date('2016-01-26T12:00:00Z'), 60), 'CET');
    assert.equal(zoneAbbreviation(new Date('2016-07-26T12:00:00Z'), 120), 'CEST');
  });
});
