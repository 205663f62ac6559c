// Manifests made to hurt: prototype keys, depth, duplicates, NUL, escapes. They must be read right or
// refused with a SpecError, quickly, and leave no trace in the process.

import assert from 'node:assert/strict';

import { runs } from '@rkt/property-runs/runs';
import fc from 'fast-check';

import { SpecError } from './errors.ts';
import { parseImageManifest, serializeImageManifest } from './image-manifest.ts';
import { parsePodManifest } from './pod-manifest.ts';

const image = (extra: string): string =>
  `{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/a"${extra}}`;
const app = (extra: string): string => image(`,"app":{"exec":["/a"],"user":"0","group":"0"${extra}}`);

const refused = (text: string, message: RegExp): void =>
  assert.throws(
    () => parseImageManifest(text),
    (error) => error instanceof SpecError && message.test(error.message),
  );

describe('hostile manifests', () => {
  it('prototype keys change nothing', () => {
    for (const key of ['__proto__', 'constructor', 'prototype', 'toString']) {
      const manifest = parseImageManifest(
        image(`,"${key}":{"labels":[{"name":"x","value":"y"}],"polluted":true}`),
      );
      assert.deepEqual(Object.keys(manifest), ['acKind', 'acVersion', 'name']);
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
      const labels = parseImageManifest(app(`,"userLabels":{"${key}":"v"}`)).app?.userLabels ?? {};
      assert.deepEqual(Object.entries(labels), [[key, 'v']]);
      assert.match(
        serializeImageManifest(parseImageManifest(app(`,"userLabels":{"${key}":"v"}`))),
        new RegExp(key),
      );
    }
  });
  it('deep nesting is refused wherever it is', () => {
    const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    refused(image(`,"ignored":${deep(100_000)}`), /nested deeper/);
    refused(app(`,"isolators":[{"name":"os/unix/sysctl","value":${deep(100_000)}}]`), /nested deeper/);
    refused('{"app":'.repeat(100_000), /nested deeper/);
    refused(app(`,"isolators":[{"name":"os/unix/sysctl","value":${deep(900)}}]`), /expected an object/);
  });
  it('of duplicate keys the last counts, in any case', () => {
    assert.equal(parseImageManifest(image(',"name":"b","NAME":"c"')).name, 'c');
    refused(image(',"acKind":"PodManifest"'), /missing or bad ACKind/);
  });
  it('byte order marks, trailing text and binary are no JSON', () => {
    refused(`\ufeff${image('')}`, /byte order mark/);
    refused(`${image('')}${image('')}`, /expected nothing more/);
    refused('\u001f\u008b\u0008', /expected value/);
    refused('not json', /line 1, column 1/);
    refused('', /unexpected end/);
  });
  it('lone surrogates become U+FFFD', () => {
    const manifest = parseImageManifest(app(String.raw`,"environment":[{"name":"A","value":"\ud800x"}]`));
    assert.equal(manifest.app?.environment?.[0]?.value, '\ufffdx');
    assert.equal(serializeImageManifest(manifest).isWellFormed(), true);
  });
  it('names and labels stay inside their grammar', () => {
    refused(image(',"name":"../../etc"'), /must start and end/);
    refused(image(',"name":"a\\u0000b"'), /must contain only/);
    refused(image(',"labels":[{"name":"../x","value":"y"}]'), /must start and end/);
    refused(image(',"labels":[{"name":"x","value":["y"]}]'), /expected a string, found a list/);
  });
  it('NUL never reaches the kernel', () => {
    const nul = String.raw`"/a\u0000b"`;
    for (const extra of [
      `,"exec":[${nul}]`,
      `,"user":${nul}`,
      `,"workingDirectory":${nul}`,
      `,"environment":[{"name":"A","value":${nul}}]`,
      `,"mountPoints":[{"name":"a","path":${nul}}]`,
    ]) {
      refused(app(extra), /NUL/);
    }
    refused(image(`,"pathWhitelist":[${nul}]`), /NUL/);
  });
  it('numbers out of range are refused, not rounded', () => {
    for (const gid of ['-1', '4294967295', '1e300', '0.5', '9007199254740993']) {
      refused(app(`,"supplementaryGIDs":[${gid}]`), /group id must be in/);
    }
    refused(image(',"dependencies":[{"imageName":"a","size":18446744073709551616}]'), /unsigned integer/);
  });
  it('terminal escapes in values do not reach messages', () => {
    const bad = String.raw`\u001b[2J\u009b`;
    for (const text of [
      image(`,"acKind":"${bad}"`),
      image(`,"labels":[{"name":"os","value":"${bad}"}]`),
      app(`,"environment":[{"name":"${bad}"}]`),
      app(`,"isolators":[{"name":"resource/cpu","value":{"limit":"${bad}"}}]`),
      image(`,"dependencies":[{"imageName":"a","imageID":"${bad}-b"}]`),
      app(`,"userLabels":{"${bad}":1}`),
    ]) {
      assert.throws(
        () => parseImageManifest(text),
        ({ message }: Error) => !/[\p{Cc}]/u.test(message.replaceAll('\n', '')),
        text,
      );
    }
  });
  it('any JSON and any text is read or refused with a SpecError', () => {
    const known = fc.constantFrom(
      'acKind',
      'acVersion',
      'name',
      'app',
      'apps',
      'labels',
      'isolators',
      'volumes',
      'ports',
      'value',
      'user',
      'exec',
      'image',
      'id',
      'mounts',
      'environment',
    );
    const leaf = fc.oneof(
      fc.constantFrom('ImageManifest', 'PodManifest', '0.8.11', 'a', 'os/linux/cpu-shares', 'sha512-a'),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
    );
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 5 },
        leaf,
        fc.array(tie('tree'), { maxLength: 3 }),
        fc.dictionary(known, tie('tree'), { maxKeys: 6 }),
      ),
    }));
    const seed = { acKind: 'ImageManifest', acVersion: '0.8.11', name: 'a' };
    fc.assert(
      fc.property(
        fc.oneof(
          tree.map((value) => JSON.stringify({ ...seed, ...(value as object) })),
          tree.map((value) => JSON.stringify(value)),
          fc.string(),
        ),
        (text) => {
          for (const parse of [parseImageManifest, parsePodManifest]) {
            try {
              parse(text);
            } catch (error) {
              assert.ok(error instanceof SpecError, String(error));
            }
          }
        },
      ),
      { numRuns: runs(1000) },
    );
  });
});
