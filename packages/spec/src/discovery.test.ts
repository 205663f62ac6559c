// Discovery pages (contract stage0 4.7, 11.9).

import assert from 'node:assert/strict';

import fc from 'fast-check';

import {
  discoveryPrefixes,
  discoveryUrl,
  findEndpoints,
  findPublicKeys,
  renderTemplate,
} from './discovery.ts';
import { metaTags } from './html-meta.ts';
import { parseImageName } from './image-name.ts';

const image = parseImageName('example.com/a/b:1.0,os=linux,arch=amd64');
const template = 'https://s.example.com/{os}/{arch}/{name}-{version}.{ext}';
const page = (...contents: string[]): string =>
  `<html><body>${contents.map((content) => `<p><META Content='${content}' NAME="ac-discovery">`).join('')}`;

describe('discoveryPrefixes', () => {
  it('walks from the whole name to the host', () => {
    assert.deepEqual(
      discoveryPrefixes('example.com/a/b').map((prefix) => discoveryUrl(prefix)),
      [
        'https://example.com/a/b?ac-discovery=1',
        'https://example.com/a?ac-discovery=1',
        'https://example.com?ac-discovery=1',
      ],
    );
    assert.deepEqual(discoveryPrefixes('a'), ['a']);
    assert.equal(discoveryUrl('a', 'http'), 'http://a?ac-discovery=1');
  });
});

describe('findEndpoints', () => {
  it('fills in the template', () => {
    assert.deepEqual(findEndpoints(page(`example.com ${template}`), image), [
      {
        aci: 'https://s.example.com/linux/amd64/example.com/a/b-1.0.aci',
        signature: 'https://s.example.com/linux/amd64/example.com/a/b-1.0.aci.asc',
      },
    ]);
  });
  it('asks for the latest when there is no version', () => {
    assert.equal(renderTemplate('{name}-{version}.{ext}', parseImageName('a/b'), 'aci'), 'a/b-latest.aci');
  });
  it('takes values literally', () => {
    assert.equal(renderTemplate('{version}.{ext}', parseImageName('a:$&$1'), 'aci'), '$&$1.aci');
  });
  it('skips tags for others, without template or with open labels, and keeps the order', () => {
    const html = page(
      'example.com/other https://x/{name}.{ext}',
      'example.com',
      'example.com https://x/{channel}.{ext}',
      'example.com/a \t\n https://first/{name}.{ext}',
      'example.com https://second/{name}.{ext}',
    );
    assert.deepEqual(
      findEndpoints(html, image).map(({ aci }) => aci),
      ['https://first/example.com/a/b.aci', 'https://second/example.com/a/b.aci'],
    );
  });
});

describe('findPublicKeys', () => {
  it('gives the URLs of fitting tags', () => {
    const html = `
      <meta name="ac-discovery-pubkeys" content="example.com https://example.com/keys.gpg">
      <meta name="ac-discovery-pubkeys" content="example.org https://example.org/keys.gpg">
      <meta name="ac-discovery-pubkeys" content="example.com file:///etc/passwd">
      <meta name="AC-discovery-pubkeys" content="example.com https://example.com/other.gpg">`;
    assert.deepEqual(findPublicKeys(html, 'example.com/a'), ['https://example.com/keys.gpg']);
  });
});

describe('metaTags', () => {
  const names = (html: string): string[] => metaTags(html).map(({ name }) => name);
  it('reads attributes in any form and order', () => {
    assert.deepEqual(
      metaTags('<meta\n content = "a &amp; &#98;&#x63;" x name=n/><meta name=\'m\'\tcontent=>'),
      [
        { name: 'n/', content: 'a & bc' },
        { name: 'm', content: '' },
      ],
    );
    assert.deepEqual(metaTags('<meta name="n" content="1" content="2">'), [{ name: 'n', content: '1' }]);
  });
  it('ignores comments, scripts, attribute values and unfinished tags', () => {
    const tag = '<meta name=x content=y>';
    assert.deepEqual(names(`<!-- ${tag} -->`), []);
    assert.deepEqual(names(`<!-->${tag}`), ['x']);
    assert.deepEqual(names(`<script>"${tag}"</script>${tag}`), ['x']);
    assert.deepEqual(names(`<TITLE>${tag}</Title>`), []);
    assert.deepEqual(names(`<a title="${tag}">`), []);
    assert.deepEqual(names(`< meta name=x content=y><metas name=x content=y></meta name=x content=y>`), []);
    assert.deepEqual(names('<meta name=x content=y'), []);
    assert.deepEqual(names('<meta name=x content="y>'), []);
  });
  it('reads any text', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '<meta',
      ' ',
      'name=',
      'content=',
      '"',
      "'",
      '<!--',
      '-->',
      '</script',
      '<script',
      '=',
      '&#99999999;',
      '/',
      'x',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(piece).map((pieces) => pieces.join('')),
        ),
        (html) => {
          for (const { name, content } of metaTags(html))
            assert.ok(typeof name === 'string' && content.isWellFormed());
        },
      ),
    );
  });
  it('stays quick on large hostile pages', () => {
    const size = 400_000;
    for (const part of [
      '<',
      '<!--',
      '<meta ',
      '<meta a="',
      '<script>',
      '=',
      '<meta name=x content=y ',
      ' ',
      "<a b='",
      '</',
    ]) {
      const html = `<meta name=a content=b>${part.repeat(size / part.length)}`;
      const start = performance.now();
      metaTags(html);
      assert.ok(performance.now() - start < 2000, part);
    }
  });
});
