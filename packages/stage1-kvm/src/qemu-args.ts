// The command line of qemu. Names are relative to the pod directory, its working directory. Pure.

import { STAGE1_ROOTFS_HERE, virtualMachineFile } from '@rkt/pod-layout/pod-paths';

import type { Accelerator } from './accelerator.ts';
import type { MachineSize } from './machine-size.ts';

/** Everything qemu is told. */
export interface QemuPlan {
  readonly uuid: string;
  readonly accelerator: Accelerator;
  readonly size: MachineSize;
  /** Socket of virtiofsd. */
  readonly files: string;
  /** Descriptor of the monitor's stream. */
  readonly monitor: number;
  /** Network devices in the order of the guest's: an open tap and the address. */
  readonly devices: readonly { readonly fd: number; readonly mac: string }[];
  /** A person sits at the terminal. */
  readonly terminal: boolean;
  /** More words for the guest's kernel. */
  readonly kernelWords: string;
  readonly debug: boolean;
}

/** How many commands can be in a pod at once with `rkt enter`; tools/build-stage1/enter-agent.c knows it too. */
export const ENTER_SLOTS = 4;

/** Socket of an enter slot, which is a port of the machine. */
export const enterSocket = (slot: number): string => virtualMachineFile(`enter${slot}`);
/** Locked by whoever uses an enter slot. */
export const enterSlotDir = (slot: number): string => virtualMachineFile(`slot${slot}`);

/** In stage1's root; tools/build-stage1/guest.ts puts them there. */
const GUEST = `${STAGE1_ROOTFS_HERE}/usr/lib/rkt/guest`;

/** The words of the command line, without the program. */
export function qemuArguments(plan: QemuPlan): string[] {
  const { accelerator, size, files, monitor, devices } = plan;
  return [
    '-name',
    `rkt-${plan.uuid}`,
    '-accel',
    accelerator === 'kvm' ? 'kvm' : 'tcg,thread=multi',
    // Anything newer costs emulation time.
    '-cpu',
    accelerator === 'kvm' ? 'host' : 'Nehalem',
    '-M',
    'q35,usb=off,vmport=off,smbus=off,sata=off,memory-backend=memory',
    '-m',
    `${size.megabytes}M`,
    '-smp',
    String(size.processors),
    '-object',
    `memory-backend-memfd,id=memory,size=${size.megabytes}M,share=on`,
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    '-no-reboot',
    '-sandbox',
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    '-chardev',
    `socket,id=files,path=${files}`,
    '-device',
    'vhost-user-fs-pci,chardev=files,tag=rkt',
    '-chardev',
    `file,id=console,path=${virtualMachineFile('console')}`,
    '-serial',
    'chardev:console',
    '-device',
    // Each port costs queues, which take time to set up: the terminal has one.
    `virtio-serial-pci,max_ports=${1 + ENTER_SLOTS}`,
    // Without signals: at a terminal they are the guest's.
    '-chardev',
    `stdio,id=terminal,signal=${plan.terminal ? 'off' : 'on'}`,
    '-device',
    'virtconsole,chardev=terminal',
    ...enterPorts(),
    '-chardev',
    `socket,id=monitor,fd=${monitor}`,
    '-mon',
    'chardev=monitor,mode=control',
    ...devices.flatMap(({ fd, mac }, index) => [
      '-netdev',
      `tap,id=net${index},fd=${fd}`,
      '-device',
      `virtio-net-pci,netdev=net${index},mac=${mac},romfile=`,
    ]),
    '-device',
    'virtio-rng-pci',
    '-kernel',
    `${GUEST}/kernel`,
    '-initrd',
    `${GUEST}/initrd`,
    '-append',
    kernelWords(plan),
  ];
}

function enterPorts(): string[] {
  return Array.from({ length: ENTER_SLOTS }, (_, index) => {
    const id = `enter${index + 1}`;
    return [
      '-chardev',
      `socket,id=${id},path=${enterSocket(index + 1)},server=on,wait=off`,
      '-device',
      `virtserialport,chardev=${id},name=rkt.${id}`,
    ];
  }).flat();
}

// Quiet, quick, off when it panics; the names of network devices are the kernel's own.
const KERNEL_WORDS =
  'console=ttyS0 loglevel=3 panic=-1 mitigations=off random.trust_cpu=on audit=0 selinux=0 apparmor=0 ' +
  'net.ifnames=0 no_timer_check tsc=reliable';

function kernelWords({ terminal, devices, kernelWords: more, debug }: QemuPlan): string {
  return [
    KERNEL_WORDS,
    ...(debug ? [] : ['quiet']),
    ...(terminal ? ['rkt.tty'] : []),
    ...(devices.length > 0 ? ['rkt.net'] : []),
    ...(more === '' ? [] : [more]),
  ].join(' ');
}
