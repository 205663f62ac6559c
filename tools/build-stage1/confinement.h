/*
 * How a command that enters a pod is confined: what confine.c of the nspawn image and enter-agent.c of the kvm image have
 * in common. Included after kernel.h; runs in the child that becomes the command.
 */

/* clone3(2) */
struct clone_arguments {
  u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

struct sock_fprog {
  u16 length;
  u16 padding[3];
  const void *filter;
};

struct capability_header {
  u32 version;
  int pid;
};

struct capability_data {
  u32 effective, permitted, inheritable;
};

enum {
  PR_CAPBSET_DROP = 24,
  PR_SET_SECCOMP = 22,
  SECCOMP_MODE_FILTER = 2,
  PR_SET_NO_NEW_PRIVS = 38,
  PR_CAP_AMBIENT = 47,
  PR_CAP_AMBIENT_CLEAR_ALL = 4
};
enum { CAP_SYS_ADMIN = 21, CAPABILITIES = 64, SIGCHLD = 17 };
enum { MOST_INSTRUCTIONS = 4096, INSTRUCTION_BYTES = 8 };

#define CLONE_INTO_CGROUP 0x200000000UL

/* Born in the cgroup: moving there would wait for the kernel. -1: none. */
static long fork_into_cgroup(int cgroup) {
  static struct clone_arguments arguments;
  arguments.exit_signal = SIGCHLD;
  arguments.flags = cgroup >= 0 ? CLONE_INTO_CGROUP : 0;
  arguments.cgroup = cgroup >= 0 ? (u64)cgroup : 0;
  return system_call(SYS_clone3, (long)&arguments, sizeof arguments, 0);
}

/* Leaves `bounding`, and CAP_SYS_ADMIN if the filter needs it: installing it takes this one; execve takes it away. */
static void drop_capabilities(u64 bounding, int installs) {
  struct capability_header header;
  struct capability_data data[2];
  u64 kept = bounding;
  int i;
  header.version = 0x20080522;
  header.pid = 0;
  for (i = 0; i < CAPABILITIES; i++)
    if (!(bounding >> i & 1)) system_call5(SYS_prctl, PR_CAPBSET_DROP, i, 0, 0, 0);
  system_call5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  must(system_call(SYS_capget, (long)&header, (long)data, 0), "enter: capget");
  if (installs) kept |= 1UL << CAP_SYS_ADMIN;
  for (i = 0; i < 2; i++) {
    data[i].permitted &= (u32)(kept >> (32 * i));
    data[i].effective = data[i].permitted;
    data[i].inheritable = 0;
  }
  must(system_call(SYS_capset, (long)&header, (long)data, 0), "enter: capset");
}

static void keep_privileges(void) {
  must(system_call5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "enter: no_new_privs");
}

static void install_filter(const void *filter, u32 instructions) {
  struct sock_fprog program;
  if (!instructions) return;
  program.length = (u16)instructions;
  program.filter = filter;
  must(system_call5(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&program, 0, 0),
       "enter: unable to install the app's filter of system calls");
}
