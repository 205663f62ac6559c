// What stage0 gives to the entry points that change a running pod, told by a stage1 of shell scripts (contract stage0 8.11,
// stage1 1.6).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { STUB_RUN_FOREVER, STUB_STOP } from '@rkt/testkit/stub-stage1';

import { stubFlag, tinyImage } from '../lib/images.ts';
import { expectStatus, INSECURE } from '../lib/rkt.ts';
import { Sandbox } from '../lib/sandbox.ts';
import { suite } from '../lib/suite.ts';

const VERBS = ['add', 'rm', 'start', 'stop'] as const;

suite('entry points that cross', ['root'], (the) => {
  const record = (verb: string): string => the.rkt.tmp.join(`crossed-${verb}`);
  // As the kernel gave it: a shell adds variables of its own.
  const script = (verb: string): string =>
    `#!/bin/sh\n{ pwd; echo "$@"; tr '\\0' '\\n' < /proc/$$/environ; } > ${record(verb)}\necho told\n`;
  const stub = (failing?: string): string =>
    stubFlag(the.rkt, {
      run: `mkdir -p stage1/rootfs/rkt; ln -s ready stage1/rootfs/rkt/supervisor-status${STUB_RUN_FOREVER}`,
      stop: STUB_STOP,
      annotations: Object.fromEntries(
        VERBS.map((verb) => [`coreos.com/rkt/stage1/app/${verb}`, `/app_${verb}`]),
      ),
      files: VERBS.map((verb) => ({
        path: `/app_${verb}`,
        mode: 0o755,
        content: `${script(verb)}${verb === failing ? 'echo why >&2; exit 3\n' : ''}`,
      })),
    });

  it('are called in the pod, with their arguments and three variables', async () => {
    const key = await the.rkt.fetch(tinyImage(the.rkt, { exec: ['/x'] }));
    const sandbox = await Sandbox.start(the.rkt, [stub(), '--net=host']);
    const pod = the.rkt.podDir(sandbox.uuid);
    const pid = readFileSync(`${pod}/pid`, 'utf8').trim();
    const expected = {
      add: `--debug=false --uuid=${sandbox.uuid} --app=one`,
      start: '--debug=false --app=one',
      stop: '--debug=false --app=one',
      rm: '--debug=false --app=one',
    };
    const said = [
      await sandbox.app('add', key, '--name=one'),
      await sandbox.app('start', '--app=one'),
      await sandbox.app('stop', '--app=one'),
      await sandbox.app('rm', '--app=one'),
    ];
    for (const { output } of said) assert.doesNotMatch(output, /told/);
    for (const verb of VERBS) {
      const [cwd, args, ...environment] = readFileSync(record(verb), 'utf8').trimEnd().split('\n');
      assert.deepEqual([cwd, args], [pod, expected[verb]]);
      assert.deepEqual(environment.map((each) => each.split('=')[0]).sort(), [
        'PATH',
        'RKT_STAGE1_ENTERCMD',
        'RKT_STAGE1_ENTERPID',
      ]);
      assert.ok(environment.includes(`RKT_STAGE1_ENTERCMD=${pod}/stage1/rootfs/enter`));
      assert.ok(environment.includes(`RKT_STAGE1_ENTERPID=${pid}`));
    }
    await the.rkt.ok(['stop', '--force', sandbox.uuid]);
    await sandbox.running.ended;
  });

  it('that fail are told of, with what they said', async () => {
    const key = await the.rkt.fetch(tinyImage(the.rkt, { exec: ['/x'] }));
    const sandbox = await Sandbox.start(the.rkt, [stub('start'), '--net=host']);
    await sandbox.app('add', key, '--name=one');
    const failed = await the.rkt.run(['app', 'start', sandbox.uuid, '--app=one']);
    expectStatus(failed, 254);
    assert.match(failed.stderr, /why/);
    await the.rkt.ok(['stop', '--force', sandbox.uuid]);
    await sandbox.running.ended;
  });

  it('that are missing are named', async () => {
    await the.rkt.fails(
      ['app', 'sandbox', INSECURE, '--net=host', stubFlag(the.rkt)],
      'stage1 does not support mutable pods',
      { status: 1 },
    );
  });
});
