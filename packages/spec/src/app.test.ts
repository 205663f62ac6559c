// The app section (contract stage0 3.3).

import assert from 'node:assert/strict';

import { App } from './app.ts';
import { decodeOrThrow } from './codec.ts';

const minimal = { exec: [], user: '0', group: '0' };
const read = (section: object): App => decodeOrThrow(App, { ...minimal, ...section }, 'app');

describe('App', () => {
  it('needs a user and a group and nothing else', () => {
    assert.deepEqual(decodeOrThrow(App, { user: '0', group: '0' }, ''), minimal);
    for (const key of ['user', 'group']) {
      for (const value of ['', null]) {
        assert.throws(() => read({ [key]: value }), new RegExp(`${key} is required`));
      }
    }
  });
  it('takes any exec without NUL', () => {
    assert.deepEqual(read({ exec: null }).exec, []);
    assert.deepEqual(read({ exec: ['relative', ''] }).exec, ['relative', '']);
    assert.throws(() => read({ exec: ['a\0b'] }), {
      message: 'app: exec[0]: must not contain a NUL character',
    });
  });
  it('wants an absolute working directory', () => {
    assert.equal('workingDirectory' in read({ workingDirectory: '' }), false);
    assert.throws(() => read({ workingDirectory: 'tmp' }), /workingDirectory must be an absolute path/);
  });
  it('wants unique, valid environment names and passes values exactly', () => {
    const environment = [{ name: 'A', value: 'x=y\nz' }];
    assert.deepEqual(read({ environment }).environment, environment);
    assert.throws(() => read({ environment: [...environment, ...environment] }), {
      message: 'app: environment: duplicate environment variable of name "A"',
    });
    assert.throws(() => read({ environment: [{ name: 'A', value: 'a\0' }] }), /NUL/);
    assert.throws(() => read({ environment: [{ name: '' }] }), /environment variable name must not be empty/);
    assert.throws(
      () => read({ environment: [{ value: 'x' }] }),
      /environment variable name must not be empty/,
    );
  });
  it('takes one event handler of each name', () => {
    const handler = { name: 'pre-start', exec: ['/x'] };
    assert.equal(
      read({ eventHandlers: [handler, { ...handler, name: 'post-stop' }] }).eventHandlers?.length,
      2,
    );
    assert.throws(() => read({ eventHandlers: [handler, handler] }), {
      message: 'app: eventHandlers: Only one eventHandler of name "pre-start" allowed',
    });
    assert.throws(() => read({ eventHandlers: [{ exec: [] }] }), /eventHandler "name" cannot be empty/);
    assert.throws(() => read({ eventHandlers: [{ name: 'boot' }] }), /bad eventHandler "name": "boot"/);
  });
  it('reads keys in any case', () => {
    assert.deepEqual(read({ supplementaryGids: [1, 2] }).supplementaryGIDs, [1, 2]);
    assert.throws(() => read({ supplementaryGIDs: [-1] }), /supplementaryGIDs\[0\]: group id must be/);
  });
  it('keeps user labels of any key in plain own properties', () => {
    const { userLabels } = read({
      userLabels: JSON.parse('{"__proto__": "a", "constructor": "b", "x": null}'),
    });
    assert.deepEqual(Object.entries(userLabels ?? {}), [
      ['__proto__', 'a'],
      ['constructor', 'b'],
      ['x', ''],
    ]);
    assert.equal(Object.getPrototypeOf(userLabels), Object.prototype);
  });
});
