// Volumes, mounts and their flags (contract stage0 3.4, 8.6, 11.7).

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { decodeOrThrow } from './codec.ts';
import { SpecError } from './errors.ts';
import { stringifyGoJson } from './go-json.ts';
import { Mount, parseMountFlag } from './mount.ts';
import { parseVolumeFlag, Volume } from './volume.ts';

const written = (flag: string): string => stringifyGoJson(Volume.encode(parseVolumeFlag(flag)));

describe('parseVolumeFlag', () => {
  it('gives the volumes of the contract', () => {
    const vectors = {
      'v,kind=host,source=/tmp': '{"name":"v","kind":"host","source":"/tmp"}',
      'v,kind=host,source=/tmp,readOnly=false,recursive=true':
        '{"name":"v","kind":"host","source":"/tmp","readOnly":false,"recursive":true}',
      'v,kind=host,source=/a%20=b': '{"name":"v","kind":"host","source":"/a%20=b"}',
      'v,kind=empty': '{"name":"v","kind":"empty","mode":"0755","uid":0,"gid":0}',
      'v,kind=empty,mode=0777,uid=1000': '{"name":"v","kind":"empty","mode":"0777","uid":1000,"gid":0}',
    };
    for (const [flag, json] of Object.entries(vectors)) assert.equal(written(flag), json);
  });
  it('refuses with a reason', () => {
    const reasons = {
      'v,kind=host,source=/a,b': /"b" has a label without a value/,
      'v,kind=host,source=/a,kind=empty': /label kind with multiple values/,
      'V,kind=host,source=/a': /ACName must contain/,
      '#foobar,kind=host,source=/a': /ACName must contain/,
      'v,kind=tmp': /unrecognized volume kind: should be one of "empty", "host"/,
      v: /unrecognized volume kind/,
      'v,kind=host': /source for host volume cannot be empty/,
      'v,kind=host,source=tmp': /source for host volume must be absolute path/,
      'v,kind=host,source=/a,mode=0755': /mode for host volume cannot be set/,
      'v,kind=host,source=/a,uid=0': /uid for host volume cannot be set/,
      'v,kind=empty,source=/tmp': /source for empty volume must be empty/,
      'v,kind=empty,uid=-1': /uid must be in 0-4294967294 range/,
      'v,kind=empty,uid=x': /uid must be a whole number, not "x"/,
      'v,kind=host,source=/a,recursive=MAYBE': /recursive must be true or false, not "MAYBE"/,
      'v,kind=host,source=/a,constructor=x': /unknown volume parameter "constructor"/,
    };
    for (const [flag, reason] of Object.entries(reasons)) {
      assert.throws(
        () => parseVolumeFlag(flag),
        (error: SpecError) => {
          assert.equal(error.code, 'bad-flag');
          assert.ok(error.message.startsWith(`invalid value in --volume flag "${flag}": `), error.message);
          return reason.test(error.message);
        },
      );
    }
  });
});

describe('parseMountFlag', () => {
  it('reads volume and target, percent-decoded', () => {
    assert.deepEqual(parseMountFlag('volume=data,target=/data'), { volume: 'data', path: '/data' });
    assert.deepEqual(parseMountFlag('target=..%2Fa+b%2Cc,volume=d'), { volume: 'd', path: '../a b,c' });
  });
  it('refuses with a reason', () => {
    const reasons = {
      'volume=A,target=/x': /^invalid volume name "A" in --mount flag "volume=A,target=\/x": ACName/,
      'target=/x': /^invalid volume name "" in --mount flag/,
      'volume=a': /^invalid value in --mount flag "volume=a": target is missing/,
      'volume=a,target=/x,mode=1': /unknown mount parameter "mode"/,
      'volume=a,target=/x,target=/y': /label target with multiple values/,
      'volume=a,target=%zz': /invalid URL escape in "%zz"/,
      'volume=a,target=%00': /NUL/,
      'volume=a,b': /has a label without a value/,
    };
    for (const [flag, message] of Object.entries(reasons)) {
      assert.throws(() => parseMountFlag(flag), { code: 'bad-flag', message });
    }
  });
});

describe('flags of volumes and mounts', () => {
  const piece = fc.constantFrom(
    'v',
    ',',
    '=',
    'kind',
    'host',
    'empty',
    'source',
    '/a',
    'volume',
    'target',
    '%',
    'é',
    '0',
  );
  const flags = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
  );
  it('only ever fail as bad flags, and give what the manifest can hold', () => {
    fc.assert(
      fc.property(flags, (flag) => {
        for (const [parse, codec] of [
          [parseVolumeFlag, Volume],
          [parseMountFlag, Mount],
        ] as const) {
          try {
            const value = parse(flag);
            assert.deepEqual(decodeOrThrow<unknown>(codec, value, ''), value);
          } catch (error) {
            assert.ok(error instanceof SpecError && error.code === 'bad-flag', String(error));
          }
        }
      }),
      { numRuns: runs(500) },
    );
  });
});
