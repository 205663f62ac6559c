// Files of the smallest image that can run something: Debian's static busybox. Runs in the test process.

import { readFileSync } from 'node:fs';

import type { AciFile } from './aci-builder.ts';

const BUSYBOX = '/bin/busybox';

// What tests start by name; busybox itself knows many more.
const APPLETS =
  'ash cat chmod chown cp cut date dd df du echo env false find grep head hostname httpd id ip kill ln ls md5sum mkdir ' +
  'mkfifo mknod mount mv nc ping ping6 ps pwd readlink rm rmdir sed seq sh sleep sort stat sync tail tar tee test touch tr true umount ' +
  'uname vi wc wget which xargs yes';

let program: Buffer | undefined;

/** Whether the host has the static busybox that goes into images (Debian package busybox-static). */
export function hasBusybox(): boolean {
  try {
    program ??= readFileSync(BUSYBOX);
  } catch {
    return false;
  }
  // A dynamic program names its loader near the start of the file.
  return !program.subarray(0, 4096).includes('ld-linux');
}

/**
 * /bin/busybox, links for its applets, and /tmp.
 *
 * @throws {Error} when the host has no static busybox.
 */
export function busyboxFiles(): AciFile[] {
  if (!hasBusybox() || program === undefined)
    throw new Error('/bin/busybox is missing or not static (try apt-get install busybox-static)');
  return [
    { path: 'bin/', mode: 0o755 },
    { path: 'bin/busybox', mode: 0o755, content: program },
    ...APPLETS.split(' ').map((applet): AciFile => ({
      path: `bin/${applet}`,
      type: 'symlink',
      linkname: 'busybox',
    })),
    { path: 'tmp/', mode: 0o1777 },
  ];
}
