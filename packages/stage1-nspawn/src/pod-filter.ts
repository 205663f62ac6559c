// The filter of system calls that every process of the pod has, whatever its app asks for: what no container should
// call, as systemd-nspawn sees it. nspawn would compile it anew at each start, for as long as all else takes; here it is
// installed by the run entry point just before it becomes nspawn (docs/decisions/0020). Pure.

import { boundingSet } from '@rkt/stage1-base/capabilities';
import type { LoadedPod } from '@rkt/stage1-base/pod';
import { type CallVerdicts, compileSeccomp, type Verdict } from '@rkt/stage1-base/seccomp-program';

const EPERM = 1;
const ENOSYS = 38;

const names = (text: string): readonly string[] => text.split(/\s+/).filter((name) => name !== '');

/** Refused in every pod: the kernel has one of these things, not one for each container, or nobody needs them. */
const NEVER: readonly string[] = names(`
  add_key keyctl request_key
  kexec_file_load kexec_load swapoff swapon
  fanotify_init fanotify_mark lookup_dcookie nfsservctl open_by_handle_at perf_event_open quotactl quotactl_fd
  modify_ldt vm86 vm86old
  _sysctl afs_syscall bdflush break create_module ftime get_kernel_syms getpmsg gtty idle lock mpx prof profil putpmsg
  query_module security sgetmask ssetmask stime stty sysfs tuxcall ulimit uselib ustat vserver
`);

/** Refused unless a process of the pod may have the capability. */
const WITH_CAPABILITY: Readonly<Record<string, readonly string[]>> = {
  CAP_SYS_TIME: names('adjtimex clock_adjtime clock_adjtime64 clock_settime clock_settime64 settimeofday'),
  CAP_SYS_MODULE: names('delete_module finit_module init_module'),
  CAP_SYS_RAWIO: names('ioperm iopl'),
  CAP_SYS_PACCT: names('acct'),
  CAP_SYS_PTRACE: names('pidfd_getfd process_vm_readv process_vm_writev ptrace'),
  CAP_SYS_BOOT: names('reboot'),
  CAP_SYSLOG: names('syslog'),
  CAP_SYS_TTY_CONFIG: names('vhangup'),
  CAP_BPF: names('bpf'),
};

/** What systemd-nspawn leaves to PID 1 of the pod, of those that the filter asks for (systemd-nspawn(1)). */
const CAPABILITIES_OF_NSPAWN: readonly string[] = ['CAP_SYS_BOOT', 'CAP_SYS_PTRACE', 'CAP_SYS_TTY_CONFIG'];

/** What the filter depends on beside the apps. */
export interface PodFilterOptions {
  /** Apps may have every capability there is. */
  readonly allCapabilities: boolean;
  /** PID 1 of the pod attaches programs to cgroups: on hosts with version 2 alone that is how devices are refused. */
  readonly devicePrograms: boolean;
}

/** The filter of a pod of these apps, as the kernel takes it. */
export function podFilterProgram(
  { apps }: Pick<LoadedPod, 'apps'>,
  { allCapabilities, devicePrograms }: PodFilterOptions,
): Buffer {
  const capabilities = allCapabilities ? undefined : apps.flatMap(({ app }) => boundingSet(app));
  return compileSeccomp(podFilter(capabilities, devicePrograms));
}

/**
 * The verdicts of the pod's filter. `capabilities` are those that apps may have; undefined: all there are. Calls newer
 * than the tables do not exist in a pod.
 */
export function podFilter(
  capabilities: readonly string[] | undefined,
  devicePrograms: boolean,
): CallVerdicts {
  const held = new Set([...CAPABILITIES_OF_NSPAWN, ...(capabilities ?? Object.keys(WITH_CAPABILITY))]);
  const refused = new Set(NEVER);
  for (const [capability, calls] of Object.entries(WITH_CAPABILITY)) {
    if (held.has(capability)) continue;
    for (const call of calls) if (!(call === 'bpf' && devicePrograms)) refused.add(call);
  }
  const none: Verdict = { errno: ENOSYS };
  const calls = new Map<string, Verdict>();
  for (const name of refused) calls.set(name, { errno: EPERM });
  return { calls, otherwise: 'allow', unknown: none, foreign: none, hideAudit: true };
}
