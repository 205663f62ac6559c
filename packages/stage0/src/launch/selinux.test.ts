import assert from 'node:assert/strict';
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';

import { openKernel } from '@rkt/linux/libc';
import { type DataDir, dataDir, locksDir } from '@rkt/pod-layout/data-dir';
import { type PodDir, podPath, selinuxLabelsFile } from '@rkt/pod-layout/pod-paths';
import { runs } from '@rkt/property-runs/runs';
import { TempDir } from '@rkt/testkit/tmp';
import fc from 'fast-check';

import {
  chooseLabels,
  freeLevel,
  labelFiles,
  levelOf,
  mountLabel,
  parseLxcContexts,
  policyName,
  type SelinuxHost,
  withLevel,
} from './selinux.ts';

// As Fedora's targeted policy has it.
const LXC_CONTEXTS = `process = "system_u:system_r:container_t:s0"
content = "system_u:object_r:virt_var_lib_t:s0"
file = "system_u:object_r:container_file_t:s0"
ro_file="system_u:object_r:container_ro_file_t:s0"
sandbox_lxc_process = "system_u:system_r:container_t:s0"
`;
const CONFIG = `# This file controls the state of SELinux on the system.
SELINUX=enforcing
# SELINUXTYPE=minimum
SELINUXTYPE=targeted

`;

describe('SELinux labels', () => {
  it('come from the name of the policy', () => {
    assert.equal(policyName(CONFIG), 'targeted');
    assert.equal(policyName('SELINUXTYPE = mls \n'), 'mls');
    for (const text of ['', 'SELINUX=disabled', 'SELINUXTYPE=../../home', 'SELINUXTYPE=', 'XSELINUXTYPE=a']) {
      assert.equal(policyName(text), undefined, text);
    }
  });

  it('are read from lxc_contexts', () => {
    assert.deepEqual(parseLxcContexts(LXC_CONTEXTS, 'f'), {
      process: 'system_u:system_r:container_t:s0',
      file: 'system_u:object_r:container_file_t:s0',
    });
    assert.deepEqual(parseLxcContexts('; a\n# b\nprocess=u:r:t\n\nfile = u:r:f\njunk\n', 'f'), {
      process: 'u:r:t',
      file: 'u:r:f',
    });
    for (const text of ['', 'process = "u:r:t:s0"', 'file = "u:r:t:s0"', 'process = ""\nfile = "u:r:t"']) {
      assert.equal(parseLxcContexts(text, 'f'), undefined, text);
    }
  });

  it('refuse what would be more than a label', () => {
    for (const label of ['u:r', 'u:r:t:s0",lowerdir=/etc,context="u:r:t', 'u:r:t t', 'u::t', 'u:r:t:']) {
      assert.throws(
        () => parseLxcContexts(`process = "u:r:t"\nfile = "${label}"`, '/f'),
        /\/f is not valid/,
        label,
      );
    }
  });

  it('take another level, where the policy has levels', () => {
    assert.equal(withLevel('u:r:t:s0', 's0:c1,c2'), 'u:r:t:s0:c1,c2');
    assert.equal(withLevel('u:r:t:s0-s0:c0.c1023', 's0:c1,c2'), 'u:r:t:s0:c1,c2');
    assert.equal(withLevel('u:r:t', 's0:c1,c2'), 'u:r:t');
    assert.equal(levelOf('u:r:t:s0:c1,c2'), 's0:c1,c2');
  });

  it('have two categories, the lower first, that nobody else has', () => {
    const number = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 50 }), (numbers) => {
        const taken = new Set<string>();
        for (const value of numbers) {
          const level = freeLevel(taken, () => value);
          assert.ok(!taken.has(level));
          taken.add(level);
          const [, low, high] = /^s0:c(\d+),c(\d+)$/.exec(level) ?? [];
          assert.ok(Number(low) < Number(high) && Number(high) < 1024, level);
        }
      }),
      { numRuns: runs(100) },
    );
    assert.equal(
      freeLevel(new Set(), () => 0),
      's0:c0,c1',
    );
    assert.equal(
      freeLevel(new Set(), () => 1 - Number.EPSILON),
      's0:c1022,c1023',
    );
  });

  it('are all different until there are no more', () => {
    const taken = new Set<string>();
    for (let count = 0; count < (1024 * 1023) / 2; count += 1) {
      // Each time the next one.
      taken.add(freeLevel(new Set(), () => (count + 0.5) / ((1024 * 1023) / 2)));
    }
    assert.equal(taken.size, (1024 * 1023) / 2);
    assert.throws(() => freeLevel(taken, () => 0.5), { code: 'selinux' });
  });
});

describe('SELinux labels of pods', () => {
  let tmp: TempDir;
  let data: DataDir;
  let serial = 0;
  let told: string[] = [];
  const warn = (line: string): void => {
    told.push(line);
  };
  beforeEach(() => {
    told = [];
    tmp = new TempDir('selinux');
    data = dataDir(tmp.path);
    mkdirSync(locksDir(data));
  });
  afterEach(() => tmp.remove());

  const host = (contexts?: string, config = CONFIG): SelinuxHost => {
    const configuration = tmp.join('etc');
    mkdirSync(`${configuration}/targeted/contexts`, { recursive: true });
    writeFileSync(`${configuration}/config`, config);
    if (contexts !== undefined) writeFileSync(`${configuration}/targeted/contexts/lxc_contexts`, contexts);
    return { isEnabled: () => true, knows: () => true, configuration };
  };
  const pod = (state: 'run' | 'prepared' | 'garbage' = 'run'): PodDir => {
    const dir = podPath(data, state, `00000000-0000-4000-8000-${String((serial += 1)).padStart(12, '0')}`);
    mkdirSync(dir, { recursive: true });
    return dir;
  };

  it('are none, and nothing is recorded, on a host without SELinux or with a policy without containers', () => {
    const dir = pod();
    const without: SelinuxHost = { ...host(LXC_CONTEXTS), isEnabled: () => false };
    assert.equal(chooseLabels(data, dir, warn, without), undefined);
    assert.equal(
      chooseLabels(data, dir, warn, {
        isEnabled: () => true,
        knows: () => true,
        configuration: tmp.join('nowhere'),
      }),
      undefined,
    );
    assert.equal(chooseLabels(data, dir, warn, host(undefined, 'SELINUX=permissive')), undefined);
    assert.ok(!existsSync(selinuxLabelsFile(dir)));
    if (!existsSync('/sys/fs/selinux/enforce')) assert.equal(chooseLabels(data, dir, warn), undefined);
  });

  it('are none when the policy in force does not know what its files name, which is told', () => {
    const dir = pod();
    const debian: SelinuxHost = { ...host(LXC_CONTEXTS), knows: (label) => !label.includes('container_t') };
    assert.equal(chooseLabels(data, dir, warn, debian), undefined);
    assert.deepEqual(told, [
      'warning: SELinux does not confine the pod: its policy names system_u:system_r:container_t:s0 for containers and has no such label',
    ]);
    assert.ok(!existsSync(selinuxLabelsFile(dir)));
  });

  it('share a level that no other pod has, and stay', () => {
    const chosen = (['run', 'prepared', 'garbage', 'run'] as const).map((state) => {
      const dir = pod(state);
      return { dir, labels: chooseLabels(data, dir, warn, host(LXC_CONTEXTS), () => 0.25) };
    });
    const levels = chosen.map(({ labels }) => levelOf(labels?.process ?? ''));
    assert.equal(new Set(levels).size, chosen.length);
    for (const [index, { dir, labels }] of chosen.entries()) {
      assert.equal(labels?.process, `system_u:system_r:container_t:${levels[index]}`);
      assert.equal(labels?.file, `system_u:object_r:container_file_t:${levels[index]}`);
      assert.deepEqual(chooseLabels(data, dir, warn, host(LXC_CONTEXTS)), labels);
      assert.equal(mountLabel(dir, host(LXC_CONTEXTS)), labels?.file);
      assert.equal(mountLabel(dir, { ...host(), isEnabled: () => false }), undefined);
    }
  });

  it('are refused when their record is not what we wrote', () => {
    const dir = pod();
    writeFileSync(selinuxLabelsFile(dir), 'u:r:t:s0\nu:r:t:s0",upperdir=/\n');
    assert.throws(() => chooseLabels(data, dir, warn, host(LXC_CONTEXTS)), { code: 'bad-file' });
  });

  it('are put on every file of the pod, links themselves included', function () {
    if (process.getuid?.() !== 0) this.skip();
    const kernel = openKernel();
    const dir = pod();
    mkdirSync(`${dir}/a/b`, { recursive: true });
    writeFileSync(`${dir}/a/b/file`, '');
    symlinkSync('/etc/passwd', `${dir}/a/link`);
    const label = 'system_u:object_r:container_file_t:s0:c1,c2';
    assert.equal(labelFiles(kernel, [dir], label), undefined);
    for (const name of ['', '/a', '/a/b', '/a/b/file', '/a/link']) {
      assert.equal(kernel.lgetXattr(`${dir}${name}`, 'security.selinux').toString(), `${label}\0`, name);
    }
    // What has no attributes is left as it is, and named.
    assert.match(labelFiles(kernel, ['/proc/self/attr'], label) ?? '', /\/proc\/self\/attr/);
  });
});
