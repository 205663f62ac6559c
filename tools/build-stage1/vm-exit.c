/*
 * What qemu lacks to be a pod: it always exits with 0, and SIGTERM pulls the plug. This library is loaded into the qemu
 * of the host (LD_PRELOAD), so that the process that rkt has become stays one and exits as the pod does, with nothing
 * of ours beside it. Why not otherwise: docs/decisions/0051-how-a-virtual-machine-exits.md.
 *
 * When qemu's main() has returned, the exit status of the pod is what the guest has left in a file. Without it the guest
 * did not end in order: that is a failure, which is told with the end of its console.
 *
 * SIGTERM, SIGINT and SIGHUP press ctrl-alt-del in the guest, which stops the apps; once more, or after a while, qemu's
 * own handler is called, which ends the machine. SIGUSR2 says that virtiofsd has ended: a guest without its files cannot
 * go on.
 *
 * Where a person sits at the terminal, its lines are the guest's to end: qemu would add a second carriage return.
 *
 * A letter to virtiofsd when qemu starts and another when it exits in order tell the library there (vm-killed.c)
 * whether qemu was killed.
 *
 * Told by variables, which packages/stage1-kvm/src/qemu-environment.ts sets: RKT_VM_EXIT and RKT_VM_CONSOLE, files;
 * RKT_VM_MONITOR, a descriptor that leads to qemu's own monitor; RKT_VM_LETTERS, the one for the letters;
 * RKT_VM_BOOT_SECONDS, how long the guest may take to get at its files. A kernel with too little memory may wait for it
 * for ever.
 */

#if !defined(__x86_64__)
#error "the library is written for x86-64"
#endif

typedef unsigned long size;
typedef int (*main_function)(int, char **, char **);
typedef void (*handler)(int, void *, void *);

enum { EXIT_FAILURE = 254, PATIENCE_SECONDS = 30, CONSOLE_TAIL = 16384, CONSOLE_LINES = 24 };
enum { SIGHUP = 1, SIGINT = 2, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15 };
enum { SA_SIGINFO = 4, SA_RESTART = 0x10000000 };
enum { TCSANOW = 0, OPOST = 1, TERMIOS_BYTES = 60, OUTPUT_FLAGS = 1 };
enum { O_RDONLY = 0, O_NONBLOCK = 04000, O_NOFOLLOW = 0400000, SEEK_SET = 0, SEEK_END = 2 };

/* struct sigaction of the C library on x86-64. */
struct action {
  handler function;
  unsigned long mask[16];
  int flags;
  void (*restorer)(void);
};

/* struct termios of the C library: words of flags first, that of the output is the second. */
struct terminal {
  unsigned flags[TERMIOS_BYTES / sizeof(unsigned)];
};

extern void *dlsym(void *from, const char *name);
extern char *getenv(const char *name);
extern int unsetenv(const char *name);
extern int open(const char *path, int flags, ...);
extern long read(int fd, void *into, size bytes);
extern long write(int fd, const void *from, size bytes);
extern long lseek(int fd, long offset, int whence);
extern int close(int fd);
extern unsigned alarm(unsigned seconds);
extern int tcgetattr(int fd, struct terminal *terminal);
extern int __cxa_atexit(void (*function)(void *), void *argument, void *object);
extern void _exit(int status);

#define NEXT ((void *)-1L)

static main_function qemu_main;
static handler qemu_end;
static int monitor = -1, letters = -1, at_terminal;
static volatile int stopping, impatient, files_ended, never_started;
static char exit_file[256], console_file[256];
static struct terminal terminal_before;

static size length(const char *text) {
  size n = 0;
  while (text[n]) n++;
  return n;
}

static void say(const char *text) { write(2, text, length(text)); }

static void copy_variable(char *into, size room, const char *name) {
  const char *value = getenv(name);
  size i = 0;
  for (; value && value[i] && i + 1 < room; i++) into[i] = value[i];
  into[i] = 0;
  unsetenv(name);
}

static int number_variable(const char *name) {
  char text[16];
  int value = 0, i = 0;
  copy_variable(text, sizeof text, name);
  if (!text[0]) return -1;
  for (; text[i] >= '0' && text[i] <= '9'; i++) value = value * 10 + (text[i] - '0');
  return value;
}

/* The status in the file, or -1: it begins with a number, and a line ends after it. */
static int reported_status(void) {
  char text[8];
  long bytes, i = 0;
  int status = 0, fd = open(exit_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return -1;
  bytes = read(fd, text, sizeof text);
  close(fd);
  for (; i < bytes && i < 3 && text[i] >= '0' && text[i] <= '9'; i++) status = status * 10 + (text[i] - '0');
  return i > 0 && i < bytes && text[i] == '\n' && status < 256 ? status : -1;
}

static char console[CONSOLE_TAIL];
static long console_bytes;

/* The end of the guest's console; what is no text becomes a question mark. */
static void read_console(void) {
  int fd = open(console_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  long end, i;
  if (fd < 0) return;
  end = lseek(fd, 0, SEEK_END);
  lseek(fd, end > CONSOLE_TAIL ? end - CONSOLE_TAIL : 0, SEEK_SET);
  console_bytes = read(fd, console, CONSOLE_TAIL);
  close(fd);
  for (i = 0; i < console_bytes; i++) {
    if (console[i] == '\r') console[i] = ' ';
    else if (console[i] != '\n' && (console[i] < ' ' || console[i] > '~')) console[i] = '?';
  }
}

/* Where `text` is, from `start` on, or the end. */
static long find(const char *text, long start) {
  for (; start < console_bytes; start++) {
    long i = 0;
    while (text[i] && start + i < console_bytes && console[start + i] == text[i]) i++;
    if (!text[i]) return start;
  }
  return console_bytes;
}

static long line_start(long at) {
  while (at > 0 && console[at - 1] != '\n') at--;
  return at;
}

/* From `start` on, some lines. */
static void show(long start, int lines) {
  long end = start;
  while (end < console_bytes && lines > 0) lines -= console[end++] == '\n';
  write(2, console + start, end - start);
  if (end > start && console[end - 1] != '\n') say("\n");
}

/* Why the kernel gave up, or the last lines. */
static void show_console(void) {
  long start;
  int lines = 0;
  read_console();
  if (console_bytes <= 0) return;
  start = find("Kernel panic", 0);
  if (start == console_bytes) {
    for (start = console_bytes - 1; start > 0; start--)
      if (console[start - 1] == '\n' && ++lines > CONSOLE_LINES) break;
  }
  say("the end of its console:\n");
  show(line_start(start), CONSOLE_LINES);
}

/* A signal is all that the exit status says of an app that had too little memory. */
static void show_kills(void) {
  static const char kill[] = "ut of memory: Killed process";
  long at;
  read_console();
  for (at = find(kill, 0); at < console_bytes; at = find(kill, at + 1)) {
    say("stage1: the kernel of the virtual machine: ");
    show(line_start(at), 1);
  }
}

/* When the machine ends by itself virtiofsd ends with it, at times before us: then the guest's kernel has said why. */
static int guest_ended(void) {
  read_console();
  return find("Kernel panic", 0) < console_bytes || find("reboot: ", 0) < console_bytes;
}

/* The guest has overwritten what was in the file as soon as it got there. */
static int has_started(void) {
  char first = '-';
  int fd = open(exit_file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return 1;
  read(fd, &first, 1);
  close(fd);
  return first != '-';
}

/* The exit status of the pod, and if it is a failure of the machine, a message. */
static int pod_status(void) {
  int status = reported_status();
  if (status > 0) show_kills();
  if (status >= 0) return status;
  if (never_started) {
    say("stage1: the virtual machine was ended: it had not started in time\n");
    show_console();
  } else if (files_ended && !guest_ended()) {
    say("stage1: the virtual machine was ended: virtiofsd, which gives it its files, has ended\n");
  } else if (impatient) {
    say("stage1: the virtual machine was ended: its apps had not stopped when it was told again to stop, or in time\n");
  } else if (stopping) {
    say("stage1: the virtual machine was stopped before its apps were started\n");
    return 0;
  } else {
    say("stage1: the virtual machine ended by itself: no exit status of its apps was reported\n");
    show_console();
  }
  return EXIT_FAILURE;
}

static int (*next_tcsetattr(void))(int, int, const struct terminal *) {
  static int (*next)(int, int, const struct terminal *);
  if (!next) next = dlsym(NEXT, "tcsetattr");
  return next;
}

/* qemu makes the terminal raw, but for what it does to output; what it found it sets again at the end. */
int tcsetattr(int fd, int when, const struct terminal *wanted) {
  struct terminal raw;
  int i, changed = 0;
  if (fd != 0 || !at_terminal) return next_tcsetattr()(fd, when, wanted);
  for (i = 0; i < (int)(sizeof raw.flags / sizeof raw.flags[0]); i++) {
    raw.flags[i] = wanted->flags[i];
    changed |= wanted->flags[i] != terminal_before.flags[i];
  }
  if (changed) raw.flags[OUTPUT_FLAGS] &= ~OPOST;
  return next_tcsetattr()(fd, when, &raw);
}

static int pod_main(int count, char **words, char **variables) {
  int status = qemu_main(count, words, variables);
  if (at_terminal) next_tcsetattr()(0, TCSANOW, &terminal_before);
  return status == 0 ? pod_status() : status;
}

static void exits_in_order(void *nothing) { write(letters, "e", 1); }

static void end(int number, void *info, void *context) {
  int status;
  if (number == SIGUSR2) files_ended = 1;
  if (qemu_end) {
    qemu_end(number, info, context);
  } else {
    status = pod_status();
    exits_in_order(0);
    _exit(status);
  }
}

static void on_stop(int number, void *info, void *context) {
  static const char keys[] =
      "{\"execute\":\"qmp_capabilities\"}\n"
      "{\"execute\":\"send-key\",\"arguments\":{\"keys\":[{\"type\":\"qcode\",\"data\":\"ctrl\"},"
      "{\"type\":\"qcode\",\"data\":\"alt\"},{\"type\":\"qcode\",\"data\":\"delete\"}]}}\n";
  if (!stopping && monitor >= 0 && number != SIGALRM) {
    stopping = 1;
    write(monitor, keys, sizeof keys - 1);
    alarm(PATIENCE_SECONDS);
    return;
  }
  if (number == SIGALRM && !stopping) {
    if (has_started()) return;
    never_started = 1;
  }
  impatient = 1;
  end(number, info, context);
}

static int (*next_sigaction(void))(int, const struct action *, struct action *) {
  static int (*next)(int, const struct action *, struct action *);
  if (!next) next = dlsym(NEXT, "sigaction");
  return next;
}

static void handle(int number, handler function) {
  struct action action = {function, {0}, SA_SIGINFO | SA_RESTART, 0};
  next_sigaction()(number, &action, 0);
}

/* qemu sets its handlers for these by this name; what it sets is called later. */
int sigaction(int number, const struct action *action, struct action *before) {
  int ours = number == SIGTERM || number == SIGINT || number == SIGHUP;
  if (!ours || !action || monitor < 0 || (size)action->function < 2) {
    return next_sigaction()(number, action, before);
  }
  qemu_end = action->function;
  if (before) next_sigaction()(number, 0, before);
  handle(number, on_stop);
  return 0;
}

int __libc_start_main(
    main_function function, int count, char **words, void (*init)(void), void (*fini)(void), void (*loader)(void),
    void *stack) {
  int (*next)(main_function, int, char **, void (*)(void), void (*)(void), void (*)(void), void *) =
      dlsym(NEXT, "__libc_start_main");
  int boot_seconds;
  copy_variable(exit_file, sizeof exit_file, "RKT_VM_EXIT");
  copy_variable(console_file, sizeof console_file, "RKT_VM_CONSOLE");
  monitor = number_variable("RKT_VM_MONITOR");
  letters = number_variable("RKT_VM_LETTERS");
  at_terminal = tcgetattr(1, &terminal_before) == 0 && tcgetattr(0, &terminal_before) == 0;
  unsetenv("LD_PRELOAD");
  handle(SIGPIPE, (handler)1); /* SIG_IGN, as qemu sets it too: virtiofsd may be gone. */
  write(letters, "s", 1);
  __cxa_atexit(exits_in_order, 0, 0);
  handle(SIGUSR2, end);
  handle(SIGALRM, on_stop);
  boot_seconds = number_variable("RKT_VM_BOOT_SECONDS");
  if (boot_seconds > 0) alarm((unsigned)boot_seconds);
  qemu_main = function;
  return next(pod_main, count, words, init, fini, loader, stack);
}
