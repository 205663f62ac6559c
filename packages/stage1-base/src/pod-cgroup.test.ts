import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { CgroupHierarchy } from '@rkt/linux/cgroup';
import { parseCgroups } from '@rkt/linux/cgroup';
import { podDir } from '@rkt/pod-layout/pod-paths';

import {
  basePath,
  createPodCgroup,
  findPodCgroup,
  joinPodCgroup,
  killPod,
  ownHierarchies,
  podCgroupName,
  podPids,
  removePodCgroup,
  usableControllers,
} from './pod-cgroup.ts';
import { TestPod } from './testing/test-pod.ts';

const UUID = '0fceae1c-1234-4abc-8def-0123456789ab';
const NAME = 'machine-rkt\\x2d0fceae1c\\x2d1234\\x2d4abc\\x2d8def\\x2d0123456789ab.scope';

/** Directories that look like mounted hierarchies. */
function hierarchiesIn(dir: string): CgroupHierarchy[] {
  const make = (name: string): string => {
    mkdirSync(join(dir, name), { recursive: true });
    return join(dir, name);
  };
  const cpuset = make('cpuset');
  writeFileSync(join(cpuset, 'cpuset.cpus'), '0-1\n');
  writeFileSync(join(cpuset, 'cpuset.mems'), '0\n');
  return [
    { version: 1, controllers: ['memory'], mountPoint: make('memory') },
    { version: 1, controllers: [], name: 'systemd', mountPoint: make('systemd') },
    { version: 2, controllers: [], mountPoint: make('unified') },
  ];
}

describe("pod's cgroup", () => {
  it('is named as systemd names a machine', () => {
    assert.equal(podCgroupName(UUID), NAME);
  });

  it("lies below that of systemd's hierarchy, else cpu, else version 2", () => {
    const v2 = '0::/user.slice/x\n';
    assert.equal(basePath(parseCgroups(`3:cpu,cpuacct:/cpu\n1:name=systemd:/sys\n${v2}`)), '/sys');
    assert.equal(basePath(parseCgroups(`3:cpu,cpuacct:/cpu\n${v2}`)), '/cpu');
    assert.equal(basePath(parseCgroups(v2)), '/user.slice/x');
    assert.equal(basePath([]), '/');
  });

  it('lies in machine.slice where there is version 2 alone, and can use what is handed on', () => {
    using pod = new TestPod();
    const mountPoint = join(pod.dir, 'cgroup2');
    const slice = join(mountPoint, 'machine.slice');
    mkdirSync(slice, { recursive: true });
    for (const directory of [mountPoint, slice]) writeFileSync(join(directory, 'cgroup.subtree_control'), '');
    const mounted: CgroupHierarchy[] = [{ version: 2, controllers: ['cpu', 'memory'], mountPoint }];
    const cgroup = createPodCgroup(podDir(pod.dir), UUID, mounted);
    assert.equal(cgroup?.subcgroup, `/machine.slice/${NAME}`);
    // A file keeps what came last; the kernel takes each.
    for (const directory of [mountPoint, slice])
      assert.match(readFileSync(join(directory, 'cgroup.subtree_control'), 'utf8'), /^\+pids/);
    assert.deepEqual(usableControllers(cgroup, mounted), []);
    writeFileSync(join(slice, NAME, 'cgroup.controllers'), 'cpu memory\n');
    assert.deepEqual(usableControllers(cgroup, mounted), ['cpu', 'memory']);
    assert.deepEqual(ownHierarchies(cgroup, mounted), mounted);
  });

  it('is made in every hierarchy and recorded', () => {
    using pod = new TestPod();
    const mounted = hierarchiesIn(join(pod.dir, 'cgroup'));
    const cgroup = createPodCgroup(podDir(pod.dir), UUID, mounted);
    assert.ok(cgroup !== undefined);
    assert.ok(cgroup.subcgroup.endsWith(`/${NAME}`));
    for (const { path } of cgroup.directories) assert.ok(statSync(path).isDirectory());
    const record = join(pod.dir, 'subcgroup');
    assert.equal(readFileSync(record, 'utf8'), cgroup.subcgroup);
    assert.deepEqual(
      findPodCgroup(podDir(pod.dir), mounted)?.directories.map(({ path }) => path),
      cgroup.directories.map(({ path }) => path),
    );
  });

  it('gives way where nothing is mounted', () => {
    using pod = new TestPod();
    assert.equal(createPodCgroup(podDir(pod.dir), UUID, []), undefined);
    assert.equal(existsSync(join(pod.dir, 'subcgroup')), false);
    assert.equal(findPodCgroup(podDir(pod.dir), []), undefined);
  });

  it('is joined with the main thread in version 1, whole in version 2', async () => {
    using pod = new TestPod();
    const mounted = hierarchiesIn(join(pod.dir, 'cgroup'));
    const cgroup = createPodCgroup(podDir(pod.dir), UUID, mounted);
    assert.ok(cgroup !== undefined);
    for (const { path } of cgroup.directories) {
      writeFileSync(join(path, 'tasks'), '');
      writeFileSync(join(path, 'cgroup.procs'), '');
    }
    await joinPodCgroup(cgroup);
    const written = cgroup.directories.map(({ path, version }) => [
      version,
      readFileSync(join(path, 'tasks'), 'utf8'),
      readFileSync(join(path, 'cgroup.procs'), 'utf8'),
    ]);
    assert.deepEqual(written, [
      [1, '0', ''],
      [1, '0', ''],
      [2, '', '0'],
    ]);
  });

  it('says that it could not be joined', async () => {
    using pod = new TestPod();
    const path = join(pod.dir, 'missing');
    const cgroup = { subcgroup: `/${NAME}`, directories: [{ version: 1, path, joined: false }] } as const;
    await assert.rejects(joinPodCgroup(cgroup), {
      code: 'cgroup',
      message: /^unable to join the pod's cgroup/,
    });
  });

  it('is not believed when the record names another', () => {
    const others = [
      '/',
      '',
      '/user.slice',
      '..',
      `/x/../../${NAME}`,
      `/${NAME}/..`,
      `/${NAME}/payload`,
      '/x.service',
    ];
    for (const record of others) {
      using pod = new TestPod();
      writeFileSync(join(pod.dir, 'subcgroup'), record);
      assert.equal(findPodCgroup(podDir(pod.dir)), undefined, record);
    }
  });

  it('is found where machined put it', () => {
    using pod = new TestPod();
    writeFileSync(join(pod.dir, 'subcgroup'), `machine.slice/${NAME}`);
    assert.equal(findPodCgroup(podDir(pod.dir), [])?.subcgroup, `/machine.slice/${NAME}`);
  });

  it('holds, kills and lets go of real processes', async function () {
    if (process.getuid?.() !== 0 || !existsSync('/sys/fs/cgroup')) this.skip();
    using pod = new TestPod();
    // In a process of its own: joining cannot be undone.
    const script = `
      import { podDir } from '@rkt/pod-layout/pod-paths';
      import { createPodCgroup, joinPodCgroup } from '@rkt/stage1-base/pod-cgroup';
      const cgroup = createPodCgroup(podDir(process.argv[1]), '${UUID}');
      await joinPodCgroup(cgroup);
      process.execve('/bin/sh', ['sh', '-c', 'sleep 60 & cat /proc/self/cgroup; exec sleep 60'], {});`;
    const args = ['--conditions=@rkt/source', '--disable-warning=ExperimentalWarning', '--input-type=module'];
    const child = spawn(process.execPath, [...args, '--eval', script, pod.dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
      cwd: import.meta.dirname,
    });
    const [output] = (await once(child.stdout, 'data')) as [Buffer];
    const cgroup = findPodCgroup(podDir(pod.dir));
    assert.ok(cgroup !== undefined);
    try {
      for (const line of output.toString().trim().split('\n')) assert.ok(line.endsWith(`/${NAME}`), line);
      assert.ok(podPids(cgroup).includes(child.pid ?? 0));
      assert.ok(podPids(cgroup).length >= 2);
    } finally {
      killPod(cgroup);
      removePodCgroup(cgroup);
    }
    assert.deepEqual(podPids(cgroup), []);
    for (const { path } of cgroup.directories) assert.equal(existsSync(path), false);
    // Once more does no harm: gc may have been interrupted.
    killPod(cgroup);
    removePodCgroup(cgroup);
  });
});
