// What systemd and the multiplexer are told of an app's streams (contract stage1 8.1). Runs in mocha.

import assert from 'node:assert/strict';

import { STREAM_ANNOTATIONS } from '@rkt/pod-layout/entrypoints';
import type { LoadedApp } from '@rkt/stage1-base/pod';

import { isAttachable, muxEnvironment, streamDirectives } from './io-modes.ts';

type Modes = Partial<Record<keyof typeof STREAM_ANNOTATIONS, string>>;

function app(modes: Modes): Pick<LoadedApp, 'name' | 'runtimeApp'> {
  const annotations = Object.entries(modes).map(([stream, value]) => ({
    name: STREAM_ANNOTATIONS[stream as keyof Modes],
    value,
  }));
  return { name: 'web', runtimeApp: { annotations } } as unknown as LoadedApp;
}

const directives = (modes: Modes, interactive = false): string[] =>
  streamDirectives(app(modes), interactive).map(({ name, value }) => `${name}=${value}`);

const MUX = ['Requires=iottymux@web.service', 'After=iottymux@web.service'];

describe('the streams of an app', () => {
  for (const [modes, expected] of [
    [{}, ['StandardInput=null', 'StandardOutput=journal+console', 'StandardError=journal+console']],
    [
      { stdin: 'interactive', stdout: 'null', stderr: 'interactive' },
      ['StandardInput=tty', 'StandardOutput=null', 'StandardError=tty'],
    ],
    [
      { stdin: 'stream', stdout: 'stream', stderr: 'log' },
      [
        ...MUX,
        'StandardInput=file:/rkt/iottymux/web/stage2-stdin',
        'StandardOutput=file:/rkt/iottymux/web/stage2-stdout',
        'StandardError=journal+console',
      ],
    ],
    [
      { stdin: 'tty', stdout: 'tty', stderr: 'stream' },
      [
        ...MUX,
        'StandardInput=tty-force',
        'StandardOutput=tty',
        'StandardError=file:/rkt/iottymux/web/stage2-stderr',
        'TTYPath=/rkt/iottymux/web/stage2-pts',
      ],
    ],
  ] as const) {
    it(`are ${JSON.stringify(modes)}`, () => assert.deepEqual(directives(modes), expected));
  }
  it('are the terminal of a pod with one, whatever it asks for', () => {
    const expected = ['StandardInput=tty', 'StandardOutput=tty', 'StandardError=tty'];
    assert.deepEqual(directives({ stdout: 'stream' }, true), expected);
    assert.equal(isAttachable(app({ stdout: 'stream' }), true), false);
  });
  it('cannot be two terminals', () => {
    assert.throws(() => directives({ stdin: 'tty', stdout: 'interactive' }), { code: 'unsupported' });
  });
  it('are what the multiplexer is told', () => {
    const text = (modes: Modes): string => muxEnvironment(app(modes), { uid: 5, gid: 6 });
    assert.equal(
      text({ stdin: 'stream' }),
      'STAGE2_TTY=false\nSTAGE2_STDIN=true\nSTAGE2_UID=5\nSTAGE2_GID=6\n',
    );
    assert.equal(
      text({ stdin: 'tty', stdout: 'stream', stderr: 'stream' }),
      'STAGE2_TTY=true\nSTAGE2_STDOUT=true\nSTAGE2_STDERR=true\nSTAGE2_UID=5\nSTAGE2_GID=6\n',
    );
  });
});
