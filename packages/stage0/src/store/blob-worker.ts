// The thread of blob-writer.ts: takes slots of shared memory in turn, writes them to the blob and hashes them.
//
// The source is text because the release is one file: a thread can be made from text in every form the product runs
// in, from a path only in development.

/** Slots of the ring and the bytes of one. */
export const SLOTS = 4;
export const SLOT_BYTES: number = 1024 * 1024;

/** Indexes into the control words at the start of the shared memory. */
export const CONTROL = {
  /** Slots the writer has filled since the start. */
  written: 0,
  /** Slots the thread is done with. */
  consumed: 1,
  /** 1 once the digest is in the message. */
  done: 2,
  /** 1 once the thread gave up; the message says why. */
  failed: 3,
  /** 1 when the writer wants no more. */
  aborted: 4,
  /** Bytes in each slot; 0 ends the stream. */
  lengths: 8,
} as const;
export const CONTROL_BYTES = 128;
/** Room for the digest or `CODE text`. */
export const MESSAGE_BYTES = 512;

export const WORKER_SOURCE: string = `'use strict';
const { workerData: { shared, fd, algorithm } } = require('node:worker_threads');
const { createHash } = require('node:crypto');
const { writeSync } = require('node:fs');
const control = new Int32Array(shared, 0, ${CONTROL_BYTES} / 4);
const message = Buffer.from(shared, ${CONTROL_BYTES}, ${MESSAGE_BYTES});
const slots = Buffer.from(shared, ${CONTROL_BYTES + MESSAGE_BYTES});
const hash = createHash(algorithm);
try {
  let position = 0;
  for (let turn = 0; ; turn += 1) {
    while (Atomics.load(control, ${CONTROL.written}) === turn) Atomics.wait(control, ${CONTROL.written}, turn);
    if (Atomics.load(control, ${CONTROL.aborted}) === 1) break;
    const slot = turn % ${SLOTS};
    const length = control[${CONTROL.lengths} + slot];
    if (length === 0) break;
    const bytes = slots.subarray(slot * ${SLOT_BYTES}, slot * ${SLOT_BYTES} + length);
    for (let at = 0; at < length; ) at += writeSync(fd, bytes, at, length - at, position + at);
    hash.update(bytes);
    position += length;
    Atomics.store(control, ${CONTROL.consumed}, turn + 1);
    Atomics.notify(control, ${CONTROL.consumed});
  }
  message.write(hash.digest('hex'), 'latin1');
} catch (error) {
  message.fill(0);
  message.write((error.code || 'ERROR') + ' ' + error.message, 'utf8');
  Atomics.store(control, ${CONTROL.failed}, 1);
}
Atomics.store(control, ${CONTROL.done}, 1);
Atomics.store(control, ${CONTROL.consumed}, 0x7fffffff);
Atomics.notify(control, ${CONTROL.done});
Atomics.notify(control, ${CONTROL.consumed});
`;
