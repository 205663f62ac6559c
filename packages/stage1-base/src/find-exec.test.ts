import assert from 'node:assert/strict';

import { findExecutable, workingDirectory } from './find-exec.ts';
import { TestPod } from './testing/test-pod.ts';
import type { TestPodOptions } from './testing/test-pod.ts';

const PROGRAM = { text: '#!/bin/sh\n', mode: 0o755 };

function find(options: TestPodOptions): string {
  using pod = new TestPod(options);
  return findExecutable(pod.load());
}

function withPath(program: string, path: string, workingDirectoryOf = ''): Record<string, unknown> {
  return {
    exec: [program],
    environment: [{ name: 'PATH', value: path }],
    ...(workingDirectoryOf === '' ? {} : { workingDirectory: workingDirectoryOf }),
  };
}

describe('program of an app', () => {
  it('is an absolute path as given, there or not', () => {
    assert.equal(find({ app: { exec: ['/no/such'] } }), '/no/such');
  });

  it('is a relative path below the working directory', () => {
    assert.equal(find({ app: { exec: ['bin/x'], workingDirectory: '/srv' } }), '/srv/bin/x');
    assert.equal(find({ app: { exec: ['./x'] } }), '/x');
  });

  it("is found in the app's PATH, relative elements below the working directory", () => {
    const files = { 'a/tool': { text: '' }, 'srv/b/tool': PROGRAM, 'c/tool': PROGRAM };
    assert.equal(find({ app: withPath('tool', '/a:b:/c', '/srv'), files }), '/srv/b/tool');
  });

  it('is found in the working directory, /bin and /usr/bin without PATH', () => {
    const files = { 'usr/bin/tool': PROGRAM };
    assert.equal(find({ app: { exec: ['tool'] }, files }), '/usr/bin/tool');
    assert.equal(find({ app: { exec: ['tool'] }, files: { ...files, tool: PROGRAM } }), '/tool');
  });

  it('keeps its name when it is a symlink, which is followed inside the root only', () => {
    const files = { 'bin/tool': { link: '/lib/real' }, 'lib/real': PROGRAM };
    assert.equal(find({ app: withPath('tool', '/bin'), files }), '/bin/tool');
    // /bin/sh exists on the host, not in the root.
    assert.throws(() =>
      find({ app: withPath('sh', '/bin'), files: { 'bin/sh': { link: '/usr/bin/dash' } } }),
    );
  });

  it('skips directories', () => {
    const files = { 'a/tool': 'directory', 'b/tool': PROGRAM } as const;
    assert.equal(find({ app: withPath('tool', '/a:/b'), files }), '/b/tool');
  });

  it('is missing: says where it was looked for', () => {
    assert.throws(
      () => find({ app: withPath('tool', '/a:/b') }),
      (error: Error) => {
        assert.equal(error.message, 'error looking up "tool"');
        assert.equal((error.cause as Error).message, 'unable to find "tool" in "/a:/b"');
        return true;
      },
    );
  });

  it('is empty: says how to give one', () => {
    assert.throws(() => find({ app: { exec: [] } }), {
      message: 'image "example.com/web" has an empty "exec" (try --exec=BINARY)',
    });
  });

  it('runs in / unless told otherwise', () => {
    using plain = new TestPod();
    using other = new TestPod({ app: { workingDirectory: '/srv' } });
    assert.equal(workingDirectory(plain.load()), '/');
    assert.equal(workingDirectory(other.load()), '/srv');
  });
});
