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

#if !defined(__x86_64__)
#error "confine is written for x86-64"
#endif

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;

/* packages/stage1-nspawn/src/confine-plan.ts writes it. */
struct plan {
  u64 bounding;          /* capabilities the command may ever hold */
  u32 no_new_privileges; /* 0 or 1 */
  int user_namespace;    /* descriptor of one to enter, or -1 */
  u32 instructions;      /* of the filter of system calls; 0: none */
  int cgroup;            /* descriptor of the version 2 cgroup in which the command is born, or -1 */
};

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
  SYS_write = 1,
  SYS_close = 3,
  SYS_rt_sigprocmask = 14,
  SYS_pread64 = 17,
  SYS_getpid = 39,
  SYS_execve = 59,
  SYS_wait4 = 61,
  SYS_kill = 62,
  SYS_setgroups = 116,
  SYS_setresuid = 117,
  SYS_setresgid = 119,
  SYS_capget = 125,
  SYS_capset = 126,
  SYS_rt_sigtimedwait = 128,
  SYS_prctl = 157,
  SYS_setrlimit = 160,
  SYS_exit_group = 231,
  SYS_setns = 308,
  SYS_clone3 = 435
};
enum {
  PR_CAPBSET_DROP = 24,
  PR_SET_SECCOMP = 22,
  SECCOMP_MODE_FILTER = 2,
  PR_SET_NO_NEW_PRIVS = 38,
  PR_CAP_AMBIENT = 47,
  PR_CAP_AMBIENT_CLEAR_ALL = 4
};
enum { SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGUSR1 = 10, SIGUSR2 = 12, SIGTERM = 15, SIGCHLD = 17 };
enum { SIG_BLOCK = 0, SIG_SETMASK = 2, SIGSET_BYTES = 8, WNOHANG = 1, RLIMIT_CORE = 4 };
enum { CAP_SYS_ADMIN = 21, CAPABILITIES = 64, CLONE_NEWUSER = 0x10000000 };

#define CLONE_INTO_CGROUP 0x200000000UL

enum { MOST_INSTRUCTIONS = 4096, INSTRUCTION_BYTES = 8, EXIT_EXEC = 203, EXIT_FAILURE = 254 };

static struct plan plan;
static unsigned char filter[MOST_INSTRUCTIONS * INSTRUCTION_BYTES];

static long system_call5(long number, long a, long b, long c, long d, long e) {
  long result;
  __asm__ volatile("mov %5, %%r10; mov %6, %%r8; syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "m"(d), "m"(e)
                   : "rcx", "r8", "r10", "r11", "memory");
  return result;
}

static long system_call(long number, long a, long b, long c) {
  return system_call5(number, a, b, c, 0, 0);
}

static long length(const char *text) {
  long n = 0;
  while (text[n]) n++;
  return n;
}

static void say(const char *text) {
  system_call(SYS_write, 2, (long)text, length(text));
}

static void quit(int status) {
  for (;;) system_call(SYS_exit_group, status, 0, 0);
}

static void fail(const char *what, long result, int status) {
  char digits[4];
  int i = 4;
  long number = -result;
  say(what);
  say(": error ");
  do {
    digits[--i] = '0' + number % 10;
    number /= 10;
  } while (number && i);
  system_call(SYS_write, 2, (long)(digits + i), 4 - i);
  say("\n");
  quit(status);
}

static void must(long result, const char *what) {
  if (result < 0) fail(what, result, EXIT_FAILURE);
}

static void read_plan(const char *number) {
  long bytes, fd = 0;
  for (; *number >= '0' && *number <= '9'; number++) fd = 10 * fd + *number - '0';
  if (system_call5(SYS_pread64, fd, (long)&plan, sizeof plan, 0, 0) != sizeof plan ||
      plan.instructions > MOST_INSTRUCTIONS) {
    fail("enter: no plan", 0, EXIT_FAILURE);
  }
  bytes = plan.instructions * INSTRUCTION_BYTES;
  if (system_call5(SYS_pread64, fd, (long)filter, bytes, sizeof plan, 0) != bytes) {
    fail("enter: no filter in the plan", 0, EXIT_FAILURE);
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

static void drop_capabilities(void) {
  struct capability_header header;
  struct capability_data data[2];
  u64 kept = plan.bounding;
  int i;
  header.version = 0x20080522;
  header.pid = 0;
  for (i = 0; i < CAPABILITIES; i++)
    if (!(plan.bounding >> i & 1)) system_call5(SYS_prctl, PR_CAPBSET_DROP, i, 0, 0, 0);
  system_call5(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  must(system_call(SYS_capget, (long)&header, (long)data, 0), "enter: capget");
  /* Installing the filter takes this one; execve takes it away. */
  if (plan.instructions && !plan.no_new_privileges) kept |= 1UL << CAP_SYS_ADMIN;
  for (i = 0; i < 2; i++) {
    data[i].permitted &= (u32)(kept >> (32 * i));
    data[i].effective = data[i].permitted;
    data[i].inheritable = 0;
  }
  must(system_call(SYS_capset, (long)&header, (long)data, 0), "enter: capset");
}

static void install_filter(void) {
  struct sock_fprog program;
  if (!plan.instructions) return;
  program.length = (u16)plan.instructions;
  program.filter = filter;
  must(system_call5(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&program, 0, 0),
       "enter: unable to install the app's filter of system calls");
}

/* Born in the cgroup: moving there would wait for the kernel. */
static long fork_into_cgroup(void) {
  static struct clone_arguments arguments;
  arguments.exit_signal = SIGCHLD;
  if (plan.cgroup >= 0) {
    arguments.flags = CLONE_INTO_CGROUP;
    arguments.cgroup = (u64)plan.cgroup;
  }
  return system_call(SYS_clone3, (long)&arguments, sizeof arguments, 0);
}

static void become(const char **argv, const char **environment) {
  u64 none = 0;
  long result;
  if (plan.cgroup >= 0) system_call(SYS_close, plan.cgroup, 0, 0);
  enter_user_namespace();
  drop_capabilities();
  if (plan.no_new_privileges) must(system_call5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "enter: no_new_privs");
  system_call5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, SIGSET_BYTES, 0);
  install_filter();
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
  child = fork_into_cgroup();
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

__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call start\n");
