// Signals to processes of the pod. The kernel is a recorder; descriptors are real ones.
import assert from 'node:assert/strict';
import { fstatSync, openSync } from 'node:fs';

import { KernelError } from '@rkt/linux/errno';
import { recordingKernel } from '@rkt/linux/testing/recording-kernel';

import { openMember, signalMember } from './member-process.ts';

describe('a signal to a process of the pod', () => {
  let fd = -1;
  const kernel = (): ReturnType<typeof recordingKernel> =>
    recordingKernel({ pidfdOpen: () => (fd = openSync('/dev/null', 'r')) });
  const isClosed = (): void => assert.throws(() => fstatSync(fd), /EBADF/);

  it('goes through a descriptor, opened before membership is asked', () => {
    const recorder = kernel();
    const sent = signalMember(recorder, 7, 15, () => {
      assert.deepEqual(recorder.callNames(), ['pidfdOpen']);
      return true;
    });
    assert.equal(sent, true);
    assert.deepEqual(recorder.calls.at(-1), { name: 'pidfdSendSignal', arguments: [fd, 15] });
    isClosed();
  });
  it('does not go to another process that has the number now', () => {
    const recorder = kernel();
    assert.equal(
      signalMember(recorder, 7, 15, () => false),
      false,
    );
    assert.deepEqual(recorder.callNames(), ['pidfdOpen']);
    isClosed();
  });
  it('is not sent to one that is gone, before or after it was found', () => {
    const before = kernel();
    before.failNext('pidfdOpen', 'ESRCH');
    assert.equal(
      signalMember(before, 7, 15, () => assert.fail('asked')),
      false,
    );
    const after = kernel();
    after.failNext('pidfdSendSignal', 'ESRCH');
    assert.equal(
      signalMember(after, 7, 15, () => true),
      false,
    );
    isClosed();
  });
  it('fails with what else the kernel says, and leaves no descriptor', () => {
    const recorder = kernel();
    recorder.failNext('pidfdSendSignal', 'EPERM');
    assert.throws(() => signalMember(recorder, 7, 15, () => true), KernelError);
    isClosed();
    assert.throws(() => openMember(kernel(), 7, () => assert.fail('unreadable')), /unreadable/);
    isClosed();
  });
});
