import assert from 'node:assert/strict';
import { openSync } from 'node:fs';

import { KernelError } from '@rkt/linux/errno';
import { recordingKernel } from '@rkt/linux/testing/recording-kernel';

import { checkInotify } from './inotify.ts';

describe('room for a pod', () => {
  const open = (): number => openSync('/dev/null', 'r');
  it('is there as long as three more things can be watched', () => {
    const kernel = recordingKernel({ inotifyInit: open });
    checkInotify(kernel);
    assert.equal(kernel.calls.length, 3);
  });
  it('is missed with the name of the limit', () => {
    let left = 2;
    const kernel = recordingKernel({
      inotifyInit: () => {
        left -= 1;
        if (left < 0) throw new KernelError('inotify_init1', 24);
        return open();
      },
    });
    assert.throws(() => checkInotify(kernel), { code: 'no-room', hint: /fs\.inotify\.max_user_instances/ });
  });
});
