// Error numbers against node's own table, and the message form.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

import { asKernelError, errnoName, errnoNumber, errnoText, KernelError, withKernelErrors } from './errno.ts';

describe('errno', () => {
  it('agrees with node on every name node knows', () => {
    for (const [name, number] of Object.entries(constants.errno)) {
      assert.equal(errnoNumber(name), number, name);
    }
  });
  it('names numbers and says when it cannot', () => {
    assert.equal(errnoName(2), 'ENOENT');
    assert.equal(errnoText(16), 'device or resource busy');
    assert.equal(errnoName(41), 'E41');
    assert.equal(errnoText(4095), 'unknown error 4095');
    assert.equal(errnoNumber('EWHAT'), 0);
  });
});

describe('KernelError', () => {
  it('says call, object and reason', () => {
    const error = new KernelError('umount', 16, { path: '/a/b' });
    assert.equal(error.message, 'umount /a/b: device or resource busy');
    assert.deepEqual([error.code, error.errno, error.syscall, error.path], ['EBUSY', 16, 'umount', '/a/b']);
    assert.equal(new KernelError('setns', 22).message, 'setns: invalid argument');
  });
  it('never carries control characters of a name', () => {
    assert.equal(new KernelError('open', 2, { path: 'a\x1b[2J\n' }).path, String.raw`a\x1b[2J\n`);
    assert.equal(
      new KernelError('open', 2, { path: Buffer.from([0x61, 0xe9, 0x1b]) }).path,
      String.raw`a\xe9\x1b`,
    );
    assert.equal(new KernelError('open', 2, { path: Buffer.from('é') }).path, 'é');
  });
  it('takes over the errors of node:fs and leaves others alone', () => {
    assert.throws(() => withKernelErrors('/nope', () => readFileSync('/nope')), {
      name: 'KernelError',
      code: 'ENOENT',
      message: 'open /nope: no such file or directory',
    });
    const other = new TypeError('x');
    assert.equal(asKernelError(other), other);
  });
});
