// The wire format: bytes computed by hand from the field tables of contract stage1 7.3, and agreement with another
// implementation that reads api.proto.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';

import fc from 'fast-check';
import protobuf from 'protobufjs';

import { runs } from '@rkt/property-runs/runs';

import { type MessageType } from './message.ts';
import {
  App,
  Event,
  GlobalFlags,
  Image,
  ImageFilter,
  Info,
  KeyValue,
  METHODS,
  Network,
  Pod,
  PodFilter,
  PUBLIC_API,
} from './v1alpha.ts';
import { WireReader, WireWriter } from './wire.ts';

const PROTO = fileURLToPath(new URL('./api.proto', import.meta.url));

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

describe('messages of the API', () => {
  const cases: readonly (readonly [string, Buffer, string])[] = [
    ['KeyValue', KeyValue.encode({ Key: 'k', value: 'vw' }), '0a016b 12027677'],
    [
      'Network',
      Network.encode({ name: 'default', ipv4: '1.2.3.4', ipv6: '' }),
      '0a0764656661756c74 1207312e322e332e34',
    ],
    [
      'Image',
      Image.encode({
        base_format: { type: 1, version: '0.8.11' },
        id: 's',
        name: 'n',
        version: '1',
        import_timestamp: 300n,
        manifest: Buffer.from('{}'),
        size: 1n,
        annotations: [{ Key: 'a', value: 'b' }],
        labels: [{ Key: 'c', value: '' }],
      }),
      '0a0a 0801 1206302e382e3131 120173 1a016e 220131 28ac02 32027b7d 3801 42060a0161120162 4a030a0163',
    ],
    // sint32: zigzag; -1 is 1.
    [
      'App',
      App.encode({ name: 'a', image: undefined, state: 2, exit_code: -1, annotations: [] }),
      '0a0161 1802 2001',
    ],
    [
      'App 254',
      App.encode({ name: '', image: undefined, state: 0, exit_code: 254, annotations: [] }),
      '20fc03',
    ],
    [
      'Pod',
      Pod.encode({
        id: 'u',
        pid: 300,
        state: 4,
        apps: [{ name: 'a', image: undefined, state: 1, exit_code: 0, annotations: [] }],
        networks: [{ name: 'n', ipv4: '', ipv6: '' }],
        manifest: Buffer.from([0, 255]),
        annotations: [],
        cgroup: '/x',
        created_at: 1_500_000_000_123_456_789n,
        started_at: -1n,
        gc_marked_at: 0n,
      }),
      `0a0175 10d804 1804 2205 0a01611801 2a03 0a016e 3202 00ff 4202 2f78
       48 959ac793d8c1c4e814 50 ffffffffffffffffff01`,
    ],
    [
      'PodFilter',
      PodFilter.encode({
        ids: ['i', 'j'],
        states: [4, 6],
        app_names: ['a'],
        image_ids: [],
        network_names: [],
        annotations: [],
        cgroups: ['/c'],
        pod_sub_cgroups: ['/d'],
      }),
      '0a0169 0a016a 12020406 1a0161 3a022f63 42022f64',
    ],
    [
      'ImageFilter',
      ImageFilter.encode({
        ids: [],
        prefixes: ['p'],
        base_names: ['b'],
        keywords: ['k'],
        labels: [],
        imported_after: 1n,
        imported_before: 2n,
        annotations: [],
        full_names: ['f'],
      }),
      '120170 1a0162 22016b 3001 3802 4a0166',
    ],
    [
      'Info',
      Info.encode({
        rkt_version: 'r',
        appc_version: 'a',
        api_version: 'p',
        global_flags: {
          dir: 'd',
          system_config_dir: 's',
          local_config_dir: 'l',
          user_config_dir: 'u',
          insecure_flags: 'none',
          trust_keys_from_https: true,
        },
      }),
      '0a0172 120161 1a0170 2214 0a0164 120173 1a016c 220175 2a046e6f6e65 3001',
    ],
    [
      'GetLogsRequest',
      METHODS.GetLogs.request.encode({
        pod_id: 'p',
        app_name: 'a',
        lines: -1,
        follow: true,
        since_time: 3n,
        until_time: 4n,
      }),
      '0a0170 120161 18ffffffffffffffffff01 2001 2803 3004',
    ],
    ['GetLogsResponse', METHODS.GetLogs.response.encode({ lines: ['a', ''] }), '0a0161 0a00'],
  ];
  for (const [name, bytes, expected] of cases) {
    it(`has the bytes of ${name}`, () => assert.equal(bytes.toString('hex'), hex(expected).toString('hex')));
  }

  it('reads packed and unpacked numbers, and passes over what it does not know', () => {
    const packed = PodFilter.decode(hex('1202 0406'));
    const single = PodFilter.decode(hex('1004 1006 9a0603aabbcc f80701 a10f0102030405060708 a50f01020304'));
    assert.deepEqual(packed.states, [4, 6]);
    assert.deepEqual(single, packed);
    // What one message holds must not show up in the next.
    assert.deepEqual(PodFilter.decode(Buffer.alloc(0)).states, []);
  });
  for (const [what, bytes] of [
    ['a length beyond the end', '0a05 6161'],
    ['a huge length', '0a ffffffffffffffffff01'],
    ['a tag without value', '18'],
    ['a number of eleven bytes', '10 8080808080808080808001'],
    ['field number 0', '02 00'],
    ['a group', '0b 0c'],
    ['a text where a number belongs', '0801'],
    ['a fixed value that is cut off', 'a10f 0102'],
  ] as const) {
    it(`refuses ${what}`, () => assert.throws(() => PodFilter.decode(hex(bytes)), { code: 'malformed' }));
  }
  it('throws nothing else, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        for (const type of [Pod, PodFilter, ImageFilter, METHODS.GetLogs.request]) {
          try {
            type.decode(Buffer.from(noise));
          } catch (error) {
            assert.equal((error as { code?: unknown }).code, 'malformed');
          }
        }
      }),
    );
  });
  it('reads back every number it writes', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeNat(), (wide, narrow) => {
        const writer = new WireWriter();
        writer.varint64(wide);
        writer.varint(narrow);
        const reader = new WireReader(writer.finish());
        assert.equal(BigInt.asIntN(64, reader.varint64()), wide);
        assert.equal(reader.varint64(), BigInt(narrow));
        assert.equal(reader.atEnd, true);
      }),
    );
  });
});

describe('api.proto', () => {
  const root = protobuf.loadSync(PROTO);

  it('declares what the tables declare', () => {
    const seen = new Set<string>();
    const check = (type: MessageType<unknown>): void => {
      if (seen.has(type.name)) return;
      seen.add(type.name);
      const theirs = root.lookupType(`v1alpha.${type.name}`);
      const ours = Object.entries(type.fields).map(([name, { number, kind, repeated }]) => ({
        name,
        id: number,
        type: typeof kind === 'string' ? kind : kind.name,
        repeated,
      }));
      assert.deepEqual(
        theirs.fieldsArray.map(({ name, id, type: kind, repeated }) => ({
          name: name === 'Key' ? name : name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
          id,
          type: kind,
          repeated,
        })),
        ours,
        type.name,
      );
      for (const { kind } of Object.values(type.fields)) {
        if (typeof kind === 'string') continue;
        if ('values' in kind)
          assert.deepEqual({ ...root.lookupEnum(`v1alpha.${kind.name}`).values }, kind.values);
        else check(kind);
      }
    };
    const service = root.lookupService('v1alpha.PublicAPI');
    assert.deepEqual(
      service.methodsArray.map(({ name }) => name),
      Object.keys(PUBLIC_API.methods),
    );
    for (const [name, { request, response, responseStream }] of Object.entries(PUBLIC_API.methods)) {
      const theirs = service.methods[name];
      assert.deepEqual(
        [theirs?.requestType, theirs?.responseType, theirs?.responseStream ?? false],
        [request.name, response.name, responseStream],
      );
      check(request);
      check(response);
    }
    assert.deepEqual(
      [...seen].sort(),
      root
        .lookupTypeOrEnum('v1alpha.Pod')
        .parent?.nestedArray.filter((each) => each instanceof protobuf.Type)
        .map(({ name }) => name)
        .sort(),
    );
  });

  const record = <T>(model: { [Key in keyof T]: fc.Arbitrary<T[Key]> }): fc.Arbitrary<T> =>
    fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
  const word = fc.string({ unit: 'grapheme', maxLength: 8 });
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const int32 = fc.integer();
  const bytes = fc.uint8Array({ maxLength: 8 }).map((each) => Buffer.from(each));
  const pairs = fc.array(record({ Key: word, value: word }), { maxLength: 3 });
  const image = record({
    base_format: fc.option(record({ type: fc.nat(3), version: word }), { nil: undefined }),
    id: word,
    name: word,
    version: word,
    import_timestamp: int64,
    manifest: bytes,
    size: int64,
    annotations: pairs,
    labels: pairs,
  });
  const app = record({
    name: word,
    image: fc.option(image, { nil: undefined }),
    state: fc.nat(2),
    exit_code: int32,
    annotations: pairs,
  });
  const pod = record({
    id: word,
    pid: int32,
    state: fc.nat(8),
    apps: fc.array(app, { maxLength: 3 }),
    networks: fc.array(record({ name: word, ipv4: word, ipv6: word }), { maxLength: 3 }),
    manifest: bytes,
    annotations: pairs,
    cgroup: word,
    created_at: int64,
    started_at: int64,
    gc_marked_at: int64,
  });
  const event = record({ type: fc.nat(9), id: word, from: word, time: int64, data: pairs });
  const agree = <T>(type: MessageType<T>, values: fc.Arbitrary<T>): void => {
    const theirs = root.lookupType(`v1alpha.${type.name}`);
    fc.assert(
      fc.property(values, (value) => {
        const ours = type.encode(value);
        assert.deepEqual(type.decode(ours), value);
        const again = Buffer.from(theirs.encode(theirs.decode(ours)).finish());
        assert.deepEqual(type.decode(again), value);
      }),
      { numRuns: runs(200) },
    );
  };
  it('is read by others as we write it: pods', () => agree(Pod, pod));
  it('is read by others as we write it: images', () => agree(Image, image));
  it('is read by others as we write it: events', () => agree(Event, event));
  it('is read by others as we write it: flags', () => {
    const flags = record({
      dir: word,
      system_config_dir: word,
      local_config_dir: word,
      user_config_dir: word,
      insecure_flags: word,
      trust_keys_from_https: fc.boolean(),
    });
    agree(GlobalFlags, flags);
  });
});
