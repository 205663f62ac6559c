// The disk of the guest: a Debian with systemd as PID 1, D-Bus, machined, logind and journald, as a machine of today has
// them, and nothing of rkt. Made by debootstrap and kept below .cache/guest; as the disk is never written to, one serves
// all runs. Runs as root before the guest does.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { hostMirror } from '@rkt/testkit/debian-image';

import { firstRoot } from '../build-stage1/guest.ts';
import { cacheDir, listFiles } from '../workspace.ts';

const SUITE = 'bookworm';

/** What a machine with systemd has, and what the suites run; the rest is Debian's smallest set. */
const PACKAGES: readonly string[] = words(`
  systemd systemd-sysv systemd-container dbus libpam-systemd kmod
  linux-image-cloud-amd64 initramfs-tools
  busybox-static curl iproute2 iptables procps socat acl gnupg openssl strace tcc
  libatomic1
  selinux-policy-default selinux-utils
`);

/** Drivers that the guest needs before its own udev runs. */
const EARLY_MODULES: readonly string[] = [
  'virtio_pci',
  'virtio_blk',
  'virtio_console',
  'virtiofs',
  'virtio_rng',
];

/** Units that would do nothing here but cost time. */
const MASKED: readonly string[] = words(`
  getty.target e2scrub_reap.service systemd-pstore.service
  systemd-update-utmp.service systemd-update-utmp-runlevel.service
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
`);

/** Room for what tests write, in bytes; the file has holes. */
const DISK_SIZE = '6G';

const guestDir: string = path.join(cacheDir, 'guest');
const sources: string = import.meta.dirname;

const POLICY_MODULE: string = path.join(sources, 'container.cil');

/** Files that qemu boots from. */
export interface GuestImage {
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
}

/** Why no image can be made here, or undefined. */
export function imageReason(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root to run debootstrap';
  for (const program of ['debootstrap', 'mke2fs', 'qemu-system-x86_64']) {
    if (spawnSync('sh', ['-c', `PATH=$PATH:/usr/sbin command -v ${program}`]).status !== 0)
      return `needs ${program}`;
  }
  return undefined;
}

/** The image; the first call takes minutes. @throws Error when a program that makes it fails */
export function guestImage(): GuestImage {
  const files = listFiles(path.join(sources, 'root'), () => true);
  const recipe = createHash('sha256');
  for (const file of [import.meta.filename, path.join(sources, 'initrd-init.sh'), POLICY_MODULE, ...files])
    recipe.update(`${path.relative(sources, file)}\0`).update(fs.readFileSync(file));
  const directory = path.join(guestDir, `image-${recipe.digest('hex').slice(0, 16)}`);
  const image = {
    disk: path.join(directory, 'disk'),
    kernel: path.join(directory, 'kernel'),
    initrd: path.join(directory, 'initrd'),
  };
  if (fs.existsSync(directory)) return image;
  const root = debianRoot();
  removeOthers('image-');
  const fresh = fs.mkdtempSync(path.join(guestDir, 'tmp-'));
  try {
    const tree = path.join(fresh, 'root');
    run('cp', ['-a', root, tree]);
    const kernel = fs.readdirSync(path.join(tree, 'lib/modules'))[0] ?? '';
    fs.copyFileSync(path.join(tree, `boot/vmlinuz-${kernel}`), path.join(fresh, 'kernel'));
    const initrd = firstRoot({
      busybox: fs.readFileSync(path.join(tree, 'bin/busybox')),
      init: fs.readFileSync(path.join(sources, 'initrd-init.sh')),
      modules: path.join(tree, 'lib/modules', kernel),
      groups: { early: EARLY_MODULES },
    });
    fs.writeFileSync(path.join(fresh, 'initrd'), initrd);
    configure(tree);
    run('mke2fs', [
      '-q',
      '-t',
      'ext4',
      '-O',
      '^has_journal',
      '-d',
      tree,
      path.join(fresh, 'disk'),
      DISK_SIZE,
    ]);
    fs.rmSync(tree, { recursive: true });
    fs.renameSync(fresh, directory);
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
  return image;
}

/** What debootstrap makes of {@link PACKAGES}, kept on its own: it takes a minute, all else seconds. */
function debianRoot(): string {
  const key = createHash('sha256')
    .update([SUITE, ...PACKAGES].join())
    .digest('hex')
    .slice(0, 16);
  const root = path.join(guestDir, `debian-${key}`);
  if (fs.existsSync(root)) return root;
  fs.mkdirSync(guestDir, { recursive: true });
  removeOthers('debian-');
  const fresh = fs.mkdtempSync(path.join(guestDir, 'tmp-'));
  try {
    const target = path.join(fresh, 'root');
    run('debootstrap', ['--variant=minbase', `--include=${PACKAGES.join()}`, SUITE, target, ...hostMirror()]);
    for (const useless of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale'])
      fs.rmSync(path.join(target, useless), { recursive: true, force: true });
    fs.renameSync(target, root);
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
  return root;
}

function removeOthers(prefix: string): void {
  for (const name of fs.readdirSync(guestDir)) {
    if (name.startsWith(prefix)) fs.rmSync(path.join(guestDir, name), { recursive: true, force: true });
  }
}

function configure(tree: string): void {
  fs.cpSync(path.join(sources, 'root'), tree, { recursive: true });
  const units = path.join(tree, 'etc/systemd/system');
  for (const unit of MASKED) {
    fs.rmSync(path.join(units, unit), { force: true });
    fs.symlinkSync('/dev/null', path.join(units, unit));
  }
  const wants = path.join(units, 'multi-user.target.wants');
  fs.symlinkSync('/etc/systemd/system/rkt-agent.service', path.join(wants, 'rkt-agent.service'));
  fs.symlinkSync('/lib/systemd/system/multi-user.target', path.join(units, 'default.target'));
  // Otherwise the guest is at its first boot each time, and makes what others have had for years.
  fs.writeFileSync(path.join(tree, 'etc/machine-id'), `${createHash('md5').update(tree).digest('hex')}\n`);
  fs.writeFileSync(path.join(tree, 'etc/hostname'), 'guest\n');
  fs.writeFileSync(path.join(tree, 'etc/hosts'), '127.0.0.1 localhost guest\n::1 localhost guest\n');
  fs.mkdirSync(path.join(tree, 'var/log/journal'), { recursive: true });
  fs.mkdirSync(path.join(tree, 'rkt'));
  fs.copyFileSync(POLICY_MODULE, path.join(tree, 'container.cil'));
  run('chroot', [tree, 'semodule', '--noreload', '--store=default', '--install=/container.cil']);
  fs.rmSync(path.join(tree, 'container.cil'));
}

function run(program: string, args: readonly string[]): void {
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? `${stdout}${stderr}`.slice(-2000)}`);
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
