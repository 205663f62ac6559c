/*
 * What the small programs of the nspawn and the kvm image share: system calls, and a few words to say. They are static
 * and have no C library: they run where every file may be the pod's. Included by confine.c, iottymux.c, attach.c,
 * enter-agent.c and pod-exit.c, each of which has a `start`.
 */

#if !defined(__x86_64__)
#error "written for x86-64"
#endif

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;

/* Numbers of system calls, of all the programs. */
enum {
  SYS_read = 0,
  SYS_write = 1,
  SYS_open = 2,
  SYS_close = 3,
  SYS_stat = 4,
  SYS_poll = 7,
  SYS_rt_sigaction = 13,
  SYS_rt_sigprocmask = 14,
  SYS_ioctl = 16,
  SYS_pread64 = 17,
  SYS_access = 21,
  SYS_dup2 = 33,
  SYS_nanosleep = 35,
  SYS_getpid = 39,
  SYS_socket = 41,
  SYS_connect = 42,
  SYS_shutdown = 48,
  SYS_bind = 49,
  SYS_listen = 50,
  SYS_fork = 57,
  SYS_execve = 59,
  SYS_wait4 = 61,
  SYS_kill = 62,
  SYS_fcntl = 72,
  SYS_chdir = 80,
  SYS_fchdir = 81,
  SYS_rename = 82,
  SYS_unlink = 87,
  SYS_symlink = 88,
  SYS_chown = 92,
  SYS_umask = 95,
  SYS_setsid = 112,
  SYS_setgroups = 116,
  SYS_setresuid = 117,
  SYS_setresgid = 119,
  SYS_capget = 125,
  SYS_capset = 126,
  SYS_rt_sigtimedwait = 128,
  SYS_mknod = 133,
  SYS_fstatfs = 138,
  SYS_prctl = 157,
  SYS_setrlimit = 160,
  SYS_chroot = 161,
  SYS_sync = 162,
  SYS_reboot = 169,
  SYS_clock_gettime = 228,
  SYS_exit_group = 231,
  SYS_epoll_wait = 232,
  SYS_epoll_ctl = 233,
  SYS_accept4 = 288,
  SYS_signalfd4 = 289,
  SYS_epoll_create1 = 291,
  SYS_pipe2 = 293,
  SYS_prlimit64 = 302,
  SYS_setns = 308,
  SYS_pidfd_open = 434,
  SYS_clone3 = 435
};

enum { EXIT_FAILURE = 254, EAGAIN = 11, O_NONBLOCK = 04000, O_CLOEXEC = 02000000 };
enum { POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16 };
enum { AF_UNIX = 1, SOCK_STREAM = 1, PATH_IN_ADDRESS = 108 };

struct pollfd {
  int fd;
  short events, revents;
};

/* Of a socket that has a name (unix(7)). */
struct address {
  u16 family;
  char path[PATH_IN_ADDRESS];
};

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

/* Ends with `what` and the kernel's error in `result`. */
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

/* The rest of `from` if it begins with `start`, or 0. */
static const char *after(const char *from, const char *start) {
  while (*start) if (*from++ != *start++) return 0;
  return from;
}

/* The kernel enters here, with the arguments on the stack. */
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call start\n");
