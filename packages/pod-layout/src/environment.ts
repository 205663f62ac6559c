// Environment variables between the stages and towards apps (contract stage0 1.11, stage1 0). Pure.

/** Number of the descriptor that holds the exclusive lock on the pod directory. */
export const RKT_LOCK_FD = 'RKT_LOCK_FD';
export const RKT_SELINUX_CONTEXT = 'RKT_SELINUX_CONTEXT';
export const RKT_SELINUX_MOUNT_CONTEXT = 'RKT_SELINUX_MOUNT_CONTEXT';
/**
 * `true`: apps may run without limits that the host cannot enforce; ours. A variable, since an argument would be an
 * error to every stage1 image that does not know it.
 */
export const RKT_INSECURE_LIMITS = 'RKT_INSECURE_LIMITS';
/** `kvm` or `tcg`: how a virtual machine runs, whatever the host seems to be able to; ours. */
export const RKT_KVM_ACCELERATOR = 'RKT_KVM_ACCELERATOR';
/** Seconds that a virtual machine may take to start, 0: any; ours. */
export const RKT_KVM_BOOT_SECONDS = 'RKT_KVM_BOOT_SECONDS';
/** More words for the kernel of a virtual machine, verbatim; the name of rkt 1.30. */
export const RKT_KVM_KERNEL_PARAMETERS = 'RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS';
export const RKT_STAGE1_ENTERCMD = 'RKT_STAGE1_ENTERCMD';
export const RKT_STAGE1_ENTERPID = 'RKT_STAGE1_ENTERPID';
/** Stage1 image to use when no flag names one; ours. */
export const RKT_STAGE1_IMAGE = 'RKT_STAGE1_IMAGE';

export const AC_APP_NAME = 'AC_APP_NAME';
export const AC_METADATA_URL = 'AC_METADATA_URL';

/** PATH of an app, and of crossing entry points when the caller has none. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Variables an app gets when it does not set them itself, in this order. */
export const DEFAULT_APP_ENVIRONMENT: readonly (readonly [name: string, value: string])[] = [
  ['PATH', DEFAULT_PATH],
  ['SHELL', '/bin/sh'],
  ['USER', 'root'],
  ['LOGNAME', 'root'],
  ['HOME', '/root'],
];
