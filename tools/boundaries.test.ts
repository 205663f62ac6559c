// The arrows of the house, and proof that a broken one is seen. Runs in mocha.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { checkBoundaries } from './boundaries.ts';

interface MadeUpPackage {
  readonly tags: readonly string[];
  readonly dependencies?: readonly string[];
  readonly references?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

describe('boundaries', () => {
  it('hold in this workspace', () => {
    assert.deepEqual(checkBoundaries(), []);
  });

  describe('of a made-up workspace', () => {
    let root: string;

    beforeEach(() => {
      root = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-boundaries-'));
    });

    afterEach(() => {
      fs.rmSync(root, { recursive: true });
    });

    function write(packages: Readonly<Record<string, MadeUpPackage>>): string[] {
      for (const [name, made] of Object.entries(packages)) {
        const directory = path.join(root, 'packages', name);
        fs.mkdirSync(path.join(directory, 'src'), { recursive: true });
        const dependencies = Object.fromEntries(
          (made.dependencies ?? []).map((each) => [`@rkt/${each}`, '2.0.0']),
        );
        const manifest = { name: `@rkt/${name}`, nx: { tags: made.tags }, dependencies };
        fs.writeFileSync(path.join(directory, 'package.json'), JSON.stringify(manifest));
        const references = (made.references ?? made.dependencies ?? []).map((each) => ({
          path: `../${each}`,
        }));
        fs.writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ references }));
        for (const [file, text] of Object.entries(made.files ?? {})) {
          fs.writeFileSync(path.join(directory, 'src', file), text);
        }
      }
      return checkBoundaries(root);
    }

    it('break when a stage imports a stage, even one it declares', () => {
      const problems = write({
        stage0: {
          tags: ['layer:stage', 'stage:0'],
          dependencies: ['stage1-kvm'],
          files: { 'x.ts': `import { boot } from '@rkt/stage1-kvm/boot';\n` },
        },
        'stage1-kvm': { tags: ['layer:stage', 'stage:1'] },
      });
      assert.deepEqual(problems, ['packages/stage0/src/x.ts: @rkt/stage0 may not import @rkt/stage1-kvm']);
    });

    it('break on a type, a lazy import and a re-export alike', () => {
      const problems = write({
        stage0: {
          tags: ['layer:stage', 'stage:0'],
          files: {
            'a.ts': `import type { Boot } from '@rkt/stage2/boot';\n`,
            'b.ts': `export async function f() { return await import('@rkt/stage2/boot'); }\n`,
            'c.ts': `export {\n  boot,\n} from '@rkt/stage2/boot';\n`,
          },
        },
        stage2: { tags: ['layer:stage1-shared', 'stage:2'] },
      });
      assert.deepEqual(
        problems,
        ['a', 'b', 'c'].map(
          (name) => `packages/stage0/src/${name}.ts: @rkt/stage0 may not import @rkt/stage2`,
        ),
      );
    });

    it('let tests, and only tests, import the testkit', () => {
      const problems = write({
        linux: {
          tags: ['layer:base'],
          files: {
            'x.ts': `import { tmp } from '@rkt/testkit/tmp';\n`,
            'x.test.ts': `import { tmp } from '@rkt/testkit/tmp';\n`,
          },
        },
        testkit: { tags: ['layer:test'] },
      });
      assert.deepEqual(problems, ['packages/linux/src/x.ts: @rkt/linux may not import @rkt/testkit']);
    });

    it('break on an undeclared package, a path into another package, node:ffi and I/O in a contract', () => {
      const problems = write({
        spec: {
          tags: ['layer:contract'],
          files: {
            'a.ts': `import { x } from '@rkt/linux/x';\nimport fs from 'node:fs';\nimport { dlopen } from 'node:ffi';\n`,
            'b.ts': `import { x } from '../../linux/src/x.ts';\n// import { y } from '@rkt/stage0/y';\n`,
          },
        },
        linux: { tags: ['layer:base'] },
      });
      assert.deepEqual(problems, [
        'packages/spec/src/a.ts: @rkt/spec does no I/O and may not import node:fs',
        'packages/spec/src/a.ts: @rkt/spec imports @rkt/linux without declaring it in package.json',
        'packages/spec/src/a.ts: only @rkt/linux may import node:ffi',
        'packages/spec/src/b.ts: imports packages/linux/src/x.ts by its path',
      ]);
    });

    it('break when project references and dependencies differ', () => {
      const problems = write({
        a: { tags: ['layer:base'], dependencies: ['b'], references: ['c'] },
        b: { tags: ['layer:base'] },
        c: { tags: ['layer:base'] },
      });
      assert.deepEqual(problems, [
        'packages/a/tsconfig.json: no reference to @rkt/b',
        'packages/a/tsconfig.json: references @rkt/c, which package.json does not declare',
      ]);
    });

    it('break on names of the pod layout and on long files', () => {
      const problems = write({
        stage0: {
          tags: ['layer:stage', 'stage:0'],
          files: {
            'names.ts': "const a = 'appsinfo';\nconst b = `${pod}/ppid`;\nconst c = 'no ppid file';\n",
            'long.ts': '\n'.repeat(451),
          },
        },
      });
      assert.deepEqual(problems, [
        'packages/stage0/src/long.ts: 451 lines, at most 450',
        "packages/stage0/src/names.ts: spells 'appsinfo', which is pod-layout's to name",
        "packages/stage0/src/names.ts: spells 'ppid', which is pod-layout's to name",
      ]);
    });
  });
});
