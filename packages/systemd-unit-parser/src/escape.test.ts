// Unit name escaping: known forms and inverses. systemd.test.ts asks systemd-escape itself.

import assert from 'node:assert/strict';

import fc from 'fast-check';

import { UnitError } from './errors.ts';
import { escapeUnitName, escapeUnitPath, instantiate, unescapeUnitName, unescapeUnitPath } from './escape.ts';

const refused = (error: unknown): boolean => error instanceof UnitError && error.code === 'escape';

describe('escape', () => {
  it('escapes as the manual shows', () => {
    assert.equal(escapeUnitName('Hallöchen, Meister'), String.raw`Hall\xc3\xb6chen\x2c\x20Meister`);
    assert.equal(escapeUnitName('/opt/stage2/my-app/rootfs'), String.raw`-opt-stage2-my\x2dapp-rootfs`);
    assert.equal(escapeUnitPath('/tmp//waldi/foobar/'), 'tmp-waldi-foobar');
    assert.equal(escapeUnitPath('/'), '-');
    assert.equal(escapeUnitPath('/.hidden'), String.raw`\x2ehidden`);
  });
  it('refuses what cannot be undone', () => {
    for (const path of ['/a/../b', '..', '.']) assert.throws(() => escapeUnitPath(path), refused);
    for (const name of ['a\\', '\\xzz', '\\xff']) assert.throws(() => unescapeUnitName(name), refused);
    for (const name of ['', '-a', 'a-', 'a--b', String.raw`\x2e\x2e`])
      assert.throws(() => unescapeUnitPath(name), refused);
  });
  it('undoes itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) =>
        assert.equal(unescapeUnitName(escapeUnitName(text)), text),
      ),
    );
    const part = fc
      .string({ minLength: 1 })
      .map((text) => text.replaceAll('/', '_'))
      .filter((text) => !/^\.{1,2}$/.test(text));
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const path = `/${parts.join('/')}`;
        assert.equal(unescapeUnitPath(escapeUnitPath(path)), path);
      }),
    );
  });
  it('makes instances of templates', () => {
    assert.equal(instantiate('prepare-app@.service', escapeUnitName('/opt/a')), 'prepare-app@-opt-a.service');
    assert.throws(() => instantiate('plain.service', 'x'), refused);
    assert.throws(() => instantiate('@.service', 'x'), refused);
  });
});
