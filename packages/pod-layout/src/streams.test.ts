// Where streams lead, from annotations (contract stage1 8.1). Runs in mocha.

import assert from 'node:assert/strict';

import { STREAM_ANNOTATIONS } from './entrypoints.ts';
import { attachableStream, chosenStreamModes, streamModes } from './streams.ts';

describe('stream modes', () => {
  const stdin = (value: string): { name: string; value: string } => ({
    name: STREAM_ANNOTATIONS.stdin,
    value,
  });
  it('have defaults, which unknown values mean as well', () => {
    const usual = { stdin: 'null', stdout: 'log', stderr: 'log' };
    assert.deepEqual(streamModes(undefined), usual);
    assert.deepEqual(streamModes([stdin('log')]), usual);
    assert.deepEqual(chosenStreamModes([stdin('STREAM')]), {});
  });
  it('are the last that an annotation says', () => {
    assert.equal(streamModes([stdin('tty'), stdin('stream')]).stdin, 'stream');
  });
  it('can be attached to or not', () => {
    assert.equal(attachableStream(streamModes([stdin('interactive')])), undefined);
    assert.deepEqual(attachableStream({ stdout: 'null', stderr: 'tty' }), { stream: 'stderr', mode: 'tty' });
  });
});
