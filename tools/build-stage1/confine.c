/*
 * <root>/usr/lib/rkt/confine of the nspawn image: what `enter` becomes when it has joined the namespaces and cgroups of
 * an app. Starts the command as a child, for only children enter a PID namespace, takes from the child all that the
 * app does not have, and waits for it. Why it is a program of its own: docs/decisions/0021-enter.md.
 *
 *   confine FD EXECUTABLE ARGV0 ARGS...      FD: the plan below; the environment is the command's
 *
 * Static and without a C library: it runs in the pod's mount namespace, where every file may be the pod's. Executed
 * from a sealed memory file, so that nothing of the pod can write to it by way of /proc/PID/exe.
 */

#include "kernel.h"
#include "confinement.h"

/* packages/stage1-nspawn/src/confine-plan.ts writes it. */
struct plan {
  u64 bounding;          /* capabilities the command may ever hold */
  u32 no_new_privileges; /* 0 or 1 */
  int user_namespace;    /* descriptor of one to enter, or -1 */
  u32 instructions;      /* of the filter of system calls; 0: none */
  int cgroup;            /* descriptor of the version 2 cgroup in which the command is born, or -1 */
  int cgroup_namespace;  /* descriptor of one that the command enters then, or -1 */
  u32 label_bytes;       /* of the command's SELinux label, which follows the filter; 0: that of the caller */
};

enum { SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGUSR1 = 10, SIGUSR2 = 12, SIGTERM = 15 };
enum { SIG_BLOCK = 0, SIG_SETMASK = 2, SIGSET_BYTES = 8, WNOHANG = 1, RLIMIT_CORE = 4 };
enum { CLONE_NEWUSER = 0x10000000, CLONE_NEWCGROUP = 0x02000000, EXIT_EXEC = 203 };
enum { O_WRONLY = 1, O_NOFOLLOW = 0400000, PROC_SUPER_MAGIC = 0x9fa0, STATFS_WORDS = 15, MOST_LABEL_BYTES = 1024 };

static struct plan plan;
static unsigned char filter[MOST_INSTRUCTIONS * INSTRUCTION_BYTES];
static char label[MOST_LABEL_BYTES];

static void read_plan(const char *number) {
  long bytes, fd = 0;
  for (; *number >= '0' && *number <= '9'; number++) fd = 10 * fd + *number - '0';
  if (system_call5(SYS_pread64, fd, (long)&plan, sizeof plan, 0, 0) != sizeof plan ||
      plan.instructions > MOST_INSTRUCTIONS || plan.label_bytes > MOST_LABEL_BYTES) {
    fail("enter: no plan", 0, EXIT_FAILURE);
  }
  bytes = plan.instructions * INSTRUCTION_BYTES;
  if (system_call5(SYS_pread64, fd, (long)filter, bytes, sizeof plan, 0) != bytes) {
    fail("enter: no filter in the plan", 0, EXIT_FAILURE);
  }
  if (system_call5(SYS_pread64, fd, (long)label, plan.label_bytes, (long)sizeof plan + bytes, 0) != plan.label_bytes) {
    fail("enter: no label in the plan", 0, EXIT_FAILURE);
  }
  system_call(SYS_close, fd, 0, 0);
}

/* After all other namespaces, which belong to one above it. */
static void enter_user_namespace(void) {
  if (plan.user_namespace < 0) return;
  must(system_call(SYS_setns, plan.user_namespace, CLONE_NEWUSER, 0), "enter: unable to join the user namespace");
  system_call(SYS_close, plan.user_namespace, 0, 0);
  must(system_call(SYS_setgroups, 0, 0, 0), "enter: setgroups");
  must(system_call(SYS_setresgid, 0, 0, 0), "enter: setresgid");
  must(system_call(SYS_setresuid, 0, 0, 0), "enter: setresuid");
}

/* Not before: where the host delegates by namespaces, nobody gets from a cgroup outside of one into one inside. */
static void enter_cgroup_namespace(void) {
  if (plan.cgroup_namespace < 0) return;
  must(system_call(SYS_setns, plan.cgroup_namespace, CLONE_NEWCGROUP, 0), "enter: unable to join the cgroup namespace");
  system_call(SYS_close, plan.cgroup_namespace, 0, 0);
}

/* proc_pid_attr(5): execve takes it. Only we can write it, so it is found through the pod's /proc, if that is one. */
static void choose_label(void) {
  u64 system[STATFS_WORDS];
  long fd;
  if (!plan.label_bytes) return;
  fd = system_call(SYS_open, (long)"/proc/thread-self/attr/exec", O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0);
  must(fd, "enter: unable to choose the SELinux label");
  must(system_call(SYS_fstatfs, fd, (long)system, 0), "enter: statfs");
  if (system[0] != PROC_SUPER_MAGIC) fail("enter: the pod's /proc is none", 0, EXIT_FAILURE);
  must(system_call(SYS_write, fd, (long)label, plan.label_bytes), "enter: unable to take the app's SELinux label");
  system_call(SYS_close, fd, 0, 0);
}

static void become(const char **argv, const char **environment) {
  u64 none = 0;
  long result;
  if (plan.cgroup >= 0) system_call(SYS_close, plan.cgroup, 0, 0);
  enter_cgroup_namespace();
  enter_user_namespace();
  choose_label();
  drop_capabilities(plan.bounding, plan.instructions && !plan.no_new_privileges);
  if (plan.no_new_privileges) keep_privileges();
  system_call5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, SIGSET_BYTES, 0);
  install_filter(filter, plan.instructions);
  result = system_call(SYS_execve, (long)argv[2], (long)(argv + 3), (long)environment);
  say("Error: Unable to execute ");
  fail(argv[2], result, EXIT_EXEC);
}

static u64 bit(int signal) {
  return 1UL << (signal - 1);
}

/* As the command ended, so do we. */
static void end_as(int status) {
  u64 none = 0;
  u64 no_core[2];
  int signal = status & 0x7f;
  if (!signal) quit(status >> 8 & 0xff);
  no_core[0] = no_core[1] = 0;
  system_call(SYS_setrlimit, RLIMIT_CORE, (long)no_core, 0);
  system_call5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, SIGSET_BYTES, 0);
  system_call(SYS_kill, system_call(SYS_getpid, 0, 0, 0), signal, 0);
  quit(128 + signal);
}

void start(long *stack) {
  long count = stack[0];
  const char **argv = (const char **)(stack + 1);
  const char **environment = argv + count + 1;
  u64 watched = bit(SIGHUP) | bit(SIGINT) | bit(SIGQUIT) | bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGTERM) | bit(SIGCHLD);
  int information[32];
  long child;

  if (count < 4) fail("enter: usage: confine FD EXECUTABLE ARGV0 ARGS...", 0, EXIT_FAILURE);
  read_plan(argv[1]);
  system_call5(SYS_rt_sigprocmask, SIG_BLOCK, (long)&watched, 0, SIGSET_BYTES, 0);
  child = fork_into_cgroup(plan.cgroup);
  must(child, "enter: unable to start the command in the app's cgroup");
  if (child == 0) become(argv, environment);
  for (;;) {
    int status = 0;
    long signal = system_call5(SYS_rt_sigtimedwait, (long)&watched, (long)information, 0, SIGSET_BYTES, 0);
    if (system_call5(SYS_wait4, child, (long)&status, WNOHANG, 0, 0) == child) end_as(status);
    /* What the terminal sends, it sends to the command as well; information[2] is si_code, 0 for kill(2). */
    if (signal > 0 && signal != SIGCHLD && information[2] <= 0) system_call(SYS_kill, child, signal, 0);
  }
}
