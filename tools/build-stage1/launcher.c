/*
 * The entry points of a stage1 image (/init, /enter, /gc, /stop, ...): starts <root>/usr/lib/rkt/stage1 with the
 * loader and the libraries of the image. Runs on the host, as the program that stage0 executes.
 *
 * node cannot be linked statically, and a dynamic program names its loader by an absolute path, which would be the
 * host's. So the entry point is this static program without a C library: about one kilobyte and half a millisecond.
 * Why not otherwise: docs/decisions/0003-stage1-entry-points.md.
 *
 *   <root>/init ARGS  ->  LOADER --inhibit-cache --library-path LIBS --argv0 <root>/init <root>/usr/lib/rkt/stage1 ARGS
 *
 * Variables LD_* are dropped: they speak of the host's libraries.
 *
 * Compiled with -DTOOL it starts the programs that networks need, in the same way: <root>/usr/lib/rkt/plugins/DIR/NAME,
 * which CNI plugins find and execute themselves, becomes <root>/usr/lib/rkt/programs/DIR/NAME, with the extensions of
 * the image's iptables named in XTABLES_LIBDIR.
 */

#if !defined(__x86_64__)
#error "the launcher is written for x86-64"
#endif

enum { SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_brk = 12, SYS_nanosleep = 35, SYS_fork = 57, SYS_execve = 59 };
enum { SYS_wait4 = 61, SYS_exit_group = 231, SYS_close_range = 436, O_RDONLY = 0, O_WRONLY = 1 };
enum { AT_NULL = 0, AT_EXECFN = 31, EXIT_FAILURE = 254 };
enum { PATH_SIZE = 4096, OWN_ARGUMENTS = 7 };

#define LIBS "/usr/lib/x86_64-linux-gnu"
/* What nothing inside a pod links; tools/build-stage1/closure.ts puts it there. */
#define HOST_LIBS "/usr/lib/rkt/libraries"

static char loader[PATH_SIZE], libraries[2 * PATH_SIZE], program[PATH_SIZE];

static long system_call(long number, long a, long b, long c) {
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
}

static long length(const char *text) {
  long n = 0;
  while (text[n]) n++;
  return n;
}

static void fail(const char *object, const char *reason) {
  system_call(SYS_write, 2, (long)"stage1: cannot start ", 21);
  system_call(SYS_write, 2, (long)object, length(object));
  system_call(SYS_write, 2, (long)reason, length(reason));
  system_call(SYS_exit_group, EXIT_FAILURE, 0, 0);
}

/* Where the root ends in the path of the program: <root>/NAME, or <root>/usr/lib/rkt/plugins/DIR/NAME. */
static long root_of(const char *file) {
#ifdef TOOL
  long elements = 6;
#else
  long elements = 1;
#endif
  long end = length(file);
  while (elements > 0) {
    while (end > 0 && file[end] != '/') end--;
    elements--;
    if (elements > 0) {
      if (end == 0) fail(file, ": executed by a path that does not show the root\n");
      end--;
    }
  }
  return end;
}

/* The root of `file` followed by `rest` and `end`, into a buffer of PATH_SIZE. */
static void beside(char *into, const char *file, const char *rest, const char *end) {
  long root = root_of(file), i;
  if (root + length(rest) + length(end) + 2 > PATH_SIZE) fail(file, ": path too long\n");
  for (i = 0; i < root; i++) into[i] = file[i];
  if (root == 0 && file[0] != '/') into[i++] = '.';
  while (*rest) into[i++] = *rest++;
  while (*end) into[i++] = *end++;
  into[i] = 0;
}

#ifdef TOOL
static char extensions[PATH_SIZE + 16];

/* The environment with one more variable: there is no room behind the kernel's copy. */
static const char **with_extensions(const char **environment, const char *self) {
  const char **room, **end;
  long count = 0, i, start, bytes;
  static const char name[] = "XTABLES_LIBDIR=";
  for (i = 0; name[i]; i++) extensions[i] = name[i];
  beside(extensions + i, self, HOST_LIBS "/xtables", "");
  while (environment[count]) count++;
  bytes = (count + 2) * sizeof(char *);
  start = (system_call(SYS_brk, 0, 0, 0) + 15) & -16;
  if (system_call(SYS_brk, start + bytes, 0, 0) < start + bytes) fail(self, ": out of memory\n");
  room = (const char **)start;
  end = room;
  for (i = 0; i < count; i++) *end++ = environment[i];
  *end++ = extensions;
  *end = 0;
  return room;
}
#endif

#ifndef TOOL
static char text[PATH_SIZE], control[2 * PATH_SIZE];

/* How often, and how long apart, the process that goes ahead moves: until some 50 ms after its start. */
enum { MOVES = 6 };
static const long between_moves[2] = {0, 5000000};

/* Moves this process to where it is, again and again, in the tree of cgroups that is mounted at `mount`. */
static int move_nowhere(const char *mount, const char *path) {
  char *end = control;
  const char *name = "/cgroup.procs";
  long fd, moves = 0;
  while (*mount) *end++ = *mount++;
  while (*path && *path != '\n') *end++ = *path++;
  while (*name) *end++ = *name++;
  *end = 0;
  fd = system_call(SYS_open, (long)control, O_WRONLY, 0);
  while (moves < MOVES && fd >= 0 && system_call(SYS_write, fd, (long)"0", 1) == 1)
    if (++moves < MOVES) system_call(SYS_nanosleep, (long)between_moves, 0, 0);
  return moves > 0;
}

/*
 * The first process in a while that changes its cgroup waits some 10 ms until all processors know of it, those in the
 * 15 ms after it do not. A pod's first process is about to: a child that nobody waits for goes ahead while node starts.
 * docs/decisions/0005-waiting-for-cgroups.md
 */
static void send_ahead(void) {
  long child = system_call(SYS_fork, 0, 0, 0), bytes, i;
  if (child < 0) return;
  if (child > 0) {
    system_call(SYS_wait4, child, 0, 0);
    return;
  }
  if (system_call(SYS_fork, 0, 0, 0) != 0) system_call(SYS_exit_group, 0, 0, 0);
  /* The pod's lock and the caller's streams are not ours to keep open. */
  system_call(SYS_close_range, 0, ~0U, 0);
  bytes = system_call(SYS_read, system_call(SYS_open, (long)"/proc/self/cgroup", O_RDONLY, 0), (long)text, PATH_SIZE - 1);
  for (i = 0; i + 2 < bytes; i++) {
    if ((i == 0 || text[i - 1] == '\n') && text[i] == '0' && text[i + 1] == ':' && text[i + 2] == ':') {
      if (!move_nowhere("/sys/fs/cgroup/unified", text + i + 3)) move_nowhere("/sys/fs/cgroup", text + i + 3);
      break;
    }
  }
  system_call(SYS_exit_group, 0, 0, 0);
}

/* Whether `file` is an entry point that starts a pod. */
static int starts_pod(const char *file) {
  const char *name = file + root_of(file);
  if (*name == '/') name++;
  return (name[0] == 'r' && name[1] == 'u' && name[2] == 'n' && !name[3]) ||
         (name[0] == 'i' && name[1] == 'n' && name[2] == 'i' && name[3] == 't' && !name[4]);
}
#endif

/* `stack` as the kernel leaves it: argc, argv, 0, environment, 0, auxiliary vector; `arguments` has room for all. */
void start(long *stack, const char **arguments) {
  long count = stack[0], i;
  const char **argv = (const char **)(stack + 1);
  const char **environment = argv + count + 1;
  const char **kept = environment, **variable = environment;
  const char *self = 0;
  long *auxiliary;

  for (; *variable; variable++) {
    const char *name = *variable;
    if (!(name[0] == 'L' && name[1] == 'D' && name[2] == '_')) *kept++ = name;
  }
  auxiliary = (long *)(variable + 1);
  *kept = 0;
  for (; auxiliary[0] != AT_NULL; auxiliary += 2)
    if (auxiliary[0] == AT_EXECFN) self = (const char *)auxiliary[1];
  if (!self) fail("stage1", ": the kernel gives no path of the program\n");

  beside(loader, self, LIBS "/ld-linux-x86-64.so.2", "");
  beside(libraries, self, LIBS ":", "");
  beside(libraries + length(libraries), self, HOST_LIBS, "");
#ifdef TOOL
  beside(program, self, "/usr/lib/rkt/programs", self + root_of(self) + sizeof("/usr/lib/rkt/plugins") - 1);
  environment = with_extensions(environment, self);
#else
  beside(program, self, "/usr/lib/rkt/stage1", "");
  if (starts_pod(self)) send_ahead();
#endif
  arguments[0] = loader;
  arguments[1] = "--inhibit-cache";
  arguments[2] = "--library-path";
  arguments[3] = libraries;
  arguments[4] = "--argv0";
  arguments[5] = count > 0 ? argv[0] : self;
  arguments[6] = program;
  for (i = 1; i < count; i++) arguments[OWN_ARGUMENTS + i - 1] = argv[i];
  arguments[count > 0 ? OWN_ARGUMENTS + count - 1 : OWN_ARGUMENTS] = 0;
  system_call(SYS_execve, (long)loader, (long)arguments, (long)environment);
  fail(loader, ": not a program of this machine, or missing\n");
}

/* Makes room for argc + 16 pointers below the kernel's data and calls start(stack, room). */
__asm__(
    ".globl _start\n"
    "_start:\n"
    "  mov %rsp, %rdi\n"
    "  mov (%rsp), %rax\n"
    "  add $16, %rax\n"
    "  shl $3, %rax\n"
    "  sub %rax, %rsp\n"
    "  and $-16, %rsp\n"
    "  mov %rsp, %rsi\n"
    "  call start\n");
