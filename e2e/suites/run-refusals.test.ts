// What `rkt run` refuses before it makes a pod (contract stage0 8.3, 8.6, 11.7, 11.8).

import assert from 'node:assert/strict';

import { stubFlag, tinyImage } from '../lib/images.ts';
import { INSECURE } from '../lib/rkt.ts';
import { suite } from '../lib/suite.ts';

suite('refusals of run', ['root'], (the) => {
  let image = '';
  let stub = '';
  before(() => {
    image = tinyImage(the.rkt, { exec: ['/bin/x'] });
    stub = stubFlag(the.rkt);
  });

  /** Refused before a pod is made. */
  const early = async (args: readonly string[], message: string): Promise<void> => {
    await the.rkt.fails([INSECURE, 'run', ...args], message);
    assert.deepEqual([the.rkt.podsIn('prepare'), the.rkt.podsIn('run')], [[], []]);
  };

  it('wants os and arch labels it knows', async () => {
    const labelled = (labels: Record<string, string | undefined>): string =>
      tinyImage(the.rkt, { labels, exec: ['/x'] });
    await the.rkt.fails(
      [INSECURE, 'run', stub, '--net=none', labelled({ os: undefined })],
      'missing os label in the image manifest',
    );
    await the.rkt.fails(
      [INSECURE, 'run', stub, '--net=none', labelled({ arch: undefined })],
      'missing arch label in the image manifest',
    );
    await the.rkt.fails(
      [INSECURE, 'run', stub, '--net=none', labelled({ os: 'freebsd', arch: 'amd64' })],
      'bad os "freebsd"',
    );
  });

  for (const [flags, message] of [
    [['--net=none', '--port=http:80'], "--port flag does not work with 'none' networking"],
    [['--net=host', '--port=http:80'], "--port flag does not work with 'host' networking"],
    [['--net=a,a'], 'found duplicate netname "a"'],
    [['--net='], 'netname must not be empty'],
    [['--net=host:IP=1'], 'arguments are not supported by special netname "host"'],
    [['--port=foo'], 'is not in name:[ip:]port format'],
    [['--port=f$o:1'], '"f$o" is not a valid port name'],
    [['--port=foo:x'], '"x" is not a valid port number'],
    [['--port=foo:99999'], '"99999" is not a valid port number'],
    [['--port=foo:1.2.3:80'], '"1.2.3" is not a valid IP'],
    [['--volume=#foobar,kind=host,source=/tmp'], 'invalid value in --volume flag'],
    [['--volume=x,kind=host,source=tmp'], 'source for host volume must be absolute path'],
    [['--volume=x,kind=host,mode=0755'], 'invalid value in --volume flag'],
    [['--volume=x,kind=empty,source=/tmp'], 'source for empty volume must be empty'],
    [['--volume=x,kind=tmp'], 'unrecognized volume kind: should be one of "empty", "host"'],
    [['--volume=x,kind=host,source=/a,recursive=MAYBE'], 'invalid value in --volume flag'],
    [['--volume=x,kind=host,source=/a,what=1'], 'unknown volume parameter "what"'],
    [['--mount=volume=x,target=/x'], 'dangling mount point "/x": volume "x" not found'],
    [['--mount=volume=x,nope=/x'], 'unknown mount parameter "nope"'],
    [['--stage1-path=/a.aci', '--stage1-name=b'], 'mutually exclusive'],
    [['--stage1-path=/a.aci', '--stage1-path=/b.aci'], '--stage1-path already used'],
    [['--pod-manifest=/dev/null', '--set-env=A=b'], 'conflicting flags set with --pod-manifest (see --help)'],
    [['--pod-manifest=/dev/null'], 'conflicting flags set with --pod-manifest (see --help)'],
  ] as const) {
    it(`refuses ${flags.join(' ')}`, () => early([...flags, image], message));
  }
  for (const [flags, message] of [
    [['--memory=4095'], 'memory limit of 4095 bytes too low'],
    [['--memory=lots'], 'invalid argument'],
    [['--cpu-shares=1'], 'invalid argument'],
    [['--oom-score-adj=1001'], 'invalid argument'],
    [
      ['--caps-retain=CAP_KILL', '--caps-remove=CAP_CHOWN'],
      'cannot use both --caps-retain and --caps-remove on the same image',
    ],
    [['--seccomp=chmod'], 'invalid seccomp mode command-line override'],
    [['--seccomp=mode=retain,what=1'], 'invalid seccomp command-line override'],
    [['--annotation=x'], 'invalid format of --annotation flag "x"'],
    [['--readonly-rootfs=perhaps'], 'invalid argument'],
    [['--exec=/a', '--exec=/b'], 'invalid argument'],
    [['--', 'a', '---', '--', 'b'], 'only one set of app arguments allowed per image'],
  ] as const) {
    it(`refuses ${flags.join(' ')} behind an image`, () => early(['--net=none', image, ...flags], message));
  }
});
