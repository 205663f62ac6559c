// The inspecting program of test images and the image that holds it (contract stage1 12.1, 12.2). Runs in the test
// process; the program itself runs inside pods.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { AciFile } from './aci-builder.ts';
import { busyboxFiles } from './busybox.ts';
import type { ManifestJson, ManifestOptions } from './manifests.ts';
import { imageManifest } from './manifests.ts';

/** The program as a file of an image. */
export function inspectProgram(path = '/inspect'): AciFile {
  return { path, mode: 0o755, content: readFileSync(join(import.meta.dirname, 'inspect.sh')) };
}

/** Files of the inspect image: the program, a static busybox, and the directories and links its tests look at. */
export function inspectFiles(): AciFile[] {
  const link = (path: string, linkname: string): AciFile => ({ path, type: 'symlink', linkname });
  return [
    ...busyboxFiles(),
    inspectProgram(),
    { path: 'dir1/file', content: 'dir1' },
    { path: 'dir2/file', content: 'dir2' },
    link('dir1/link_abs_dir2', '/dir2'),
    link('dir1/link_abs_dotdot_dir2', '/../dir2'),
    link('dir1/link_rel_dir2', '../dir2'),
    link('dir1/link_abs_root', '/'),
    link('dir1/link_abs_notexists', '/notexists'),
    link('inspect-link', '/inspect'),
    link('bin/inspect-link-bin', '/inspect'),
    { path: 'etc/passwd', content: 'user1:x:1000:100::/:' },
    { path: 'etc/group', content: 'group1:x:100:user1' },
  ];
}

/** Manifest of the inspect image; `args` follow the program's name. */
export function inspectManifest(args: readonly string[] = [], options: ManifestOptions = {}): ManifestJson {
  return imageManifest({
    name: 'coreos.com/rkt-inspect',
    version: '1.30.0',
    exec: ['/inspect', ...args],
    ...options,
    app: {
      workingDirectory: '/',
      environment: [
        { name: 'VAR_FROM_MANIFEST', value: 'manifest' },
        { name: 'PATH', value: '/bin' },
      ],
      ...options.app,
    },
  });
}
