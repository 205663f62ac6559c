/*
 * /usr/lib/rkt/enter-agent of the kvm image: starts in the pod what `rkt enter` asks for, and hands its streams over.
 * Runs in the guest, one process for each port of the machine (docs/decisions/0052).
 *
 * A port is a socket of the host, on which packages/stage1-kvm/src/enter-streams.ts speaks. Frames are a letter, two
 * bytes of length, the lower first, and as many bytes; from the host, where a zero is passed over:
 *
 *   B nonce   a caller is there; answered with the nonce alone      I bytes   for standard input, at most WINDOW unread
 *   P bytes   more of the plan (struct plan and what follows it)    C         no more of it
 *   R         run it                                                W size    of the terminal: rows, columns
 *                                                                   S number  a signal for the command
 *
 * and to the host: O and E bytes of the two outputs, A count of bytes that the command has taken, X the exit status.
 *
 * A caller may go away in the middle of a frame: the next one begins with more zeros than any frame can lack, and finds
 * the beginning of what is for him by his nonce.
 */

#include "kernel.h"
#include "confinement.h"

enum { O_RDONLY = 0, O_RDWR = 2, O_NOCTTY = 0400, O_DIRECTORY = 0200000, O_PATH = 010000000 };
enum { F_SETFL = 4, TIOCSCTTY = 0x540e, TIOCSWINSZ = 0x5414, TIOCSPTLCK = 0x40045431, TIOCGPTPEER = 0x5441 };
enum { SIG_BLOCK = 0, SIG_SETMASK = 2, SIGSET_BYTES = 8, SIGHUP = 1, SIGPIPE = 13, WNOHANG = 1 };
enum { EPOLL_CTL_ADD = 1, EPOLLIN = 1, EPOLLOUT = 4 };

#define EPOLLET 0x80000000U

enum { CLONE_NEWNS = 0x00020000, RLIMITS = 16, EXIT_EXEC = 203, EAGAIN_ = -EAGAIN };

/* packages/stage1-kvm/src/enter-plan.ts writes PLAN, enter-streams.ts WINDOW and the greatest frame. */
enum { PORTS = 4, FRAME = 4096, OUTPUT = 16384, WINDOW = 65536, PLAN = 2 << 20, WORDS = 65536, NONCE = 16 };

/* What to run. Behind it come the filter of system calls, and texts that end with a zero each: the app's name, the
 * program, its words, and its environment. */
struct plan {
  u32 no_new_privileges; /* 0 or 1 */
  u32 instructions;      /* of the filter; 0: none */
  u32 words, variables;  /* how many */
  u16 rows, columns;     /* of the terminal; 0: none, but three streams */
  u32 padding;
};

static u64 plan_bytes[PLAN / sizeof(u64)];
static long plan_used;
static unsigned char received[2 * FRAME], waiting[WINDOW], frame[OUTPUT + 3];
static long received_at, received_end, waiting_used, frame_used, taken;
static const char *texts[WORDS];
static char path[512];
static int port = -1, changes = -1, signals = -1, input = -1, outputs[2] = {-1, -1}, is_terminal, closing, gone;
static long child;

static void *plan_at(long offset) {
  return (char *)plan_bytes + offset;
}

static u64 bit(int signal) {
  return 1UL << (signal - 1);
}

static void close_fd(int *fd) {
  if (*fd >= 0) system_call(SYS_close, *fd, 0, 0);
  *fd = -1;
}

static void path_of(const char *first, const char *second, const char *third) {
  const char *parts[3];
  long used = 0, i;
  parts[0] = first;
  parts[1] = second;
  parts[2] = third;
  for (i = 0; i < 3; i++) {
    const char *part = parts[i];
    while (*part && used + 1 < (long)sizeof path) path[used++] = *part++;
  }
  path[used] = 0;
}

static const char *digits_of(long number) {
  static char digits[24];
  int i = sizeof digits - 1;
  digits[i] = 0;
  do {
    digits[--i] = '0' + number % 10;
    number /= 10;
  } while (number);
  return digits + i;
}

/* A file of /proc, as text; 0 when it is not there. */
static const char *proc_text(const char *pid, const char *name) {
  static char text[4096];
  long bytes, fd;
  path_of("/proc/", pid, name);
  fd = system_call(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return 0;
  bytes = system_call(SYS_read, fd, (long)text, sizeof text - 1);
  system_call(SYS_close, fd, 0, 0);
  if (bytes <= 0) return 0;
  text[bytes] = 0;
  return text;
}

/* ---- the port ---- */

/* What has come is in `received`. 0: nobody is there, or nothing has come. */
static int receive(void) {
  long bytes;
  if (received_at > 0) {
    long i;
    for (i = received_at; i < received_end; i++) received[i - received_at] = received[i];
    received_end -= received_at;
    received_at = 0;
  }
  if (received_end == sizeof received) return 0;
  bytes = system_call(SYS_read, port, (long)(received + received_end), sizeof received - received_end);
  if (bytes > 0) received_end += bytes;
  return bytes > 0;
}

/* A port without a caller is always ready, to say so: only what changes counts. */
static void await_change(void) {
  u64 event[2];
  system_call5(SYS_epoll_wait, changes, (long)event, 1, -1, 0);
}

static void await_bytes(long count) {
  while (received_end - received_at < count)
    if (!receive()) await_change();
}

/* Sends what is held, if it can be. Whole or not at all. */
static void send(void) {
  long result;
  if (!frame_used) return;
  result = system_call(SYS_write, port, (long)frame, frame_used);
  if (result != EAGAIN_) frame_used = 0;
}

static void begin_frame(char letter, long bytes) {
  frame[0] = letter;
  frame[1] = bytes & 0xff;
  frame[2] = bytes >> 8;
  frame_used = bytes + 3;
}

/* Until it is sent, or the caller is gone. */
static void finish_frame(void) {
  struct pollfd waited;
  waited.fd = port;
  waited.events = POLLOUT;
  for (send(); frame_used && !gone; send()) {
    system_call(SYS_poll, (long)&waited, 1, -1);
    if (waited.revents & (POLLHUP | POLLERR)) gone = 1;
  }
  frame_used = 0;
}

/* ---- the command ---- */

static void tell(const char *text) {
  long i = 0;
  for (; text[i] && i < OUTPUT; i++) frame[3 + i] = text[i];
  begin_frame('E', i);
  finish_frame();
}

static void tell_end(int status) {
  frame[3] = (unsigned char)status;
  begin_frame('X', 1);
  finish_frame();
}

/* When a process was started: the 20th word behind its name in parentheses (proc_pid_stat(5)). */
static u64 start_of(const char *pid) {
  const char *text = proc_text(pid, "/stat"), *at;
  u64 start = 0;
  int word;
  if (!text) return ~0UL;
  for (at = text; *text; text++)
    if (*text == ')') at = text + 1;
  for (word = 0; *at && word < 20; at++) word += *at == ' ';
  for (; *at >= '0' && *at <= '9'; at++) start = 10 * start + (*at - '0');
  return start;
}

/* The oldest process of the app, as text, and its cgroup. 0: it is not running. */
static const char *find_app(const char *app, int *cgroup) {
  static char list[16384], oldest[16];
  u64 first = ~0UL;
  long bytes, at, fd;
  path_of("/sys/fs/cgroup/system.slice/", app, ".service");
  *cgroup = (int)system_call(SYS_open, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (*cgroup < 0) return 0;
  path_of("/sys/fs/cgroup/system.slice/", app, ".service/cgroup.procs");
  fd = system_call(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0);
  bytes = fd < 0 ? 0 : system_call(SYS_read, fd, (long)list, sizeof list - 1);
  if (fd >= 0) system_call(SYS_close, fd, 0, 0);
  for (at = 0; at < bytes;) {
    char *pid = list + at;
    u64 start;
    int i;
    while (at < bytes && list[at] != '\n') at++;
    list[at++] = 0;
    start = start_of(pid);
    if (start >= first) continue;
    first = start;
    for (i = 0; pid[i] && i < 15; i++) oldest[i] = pid[i];
    oldest[i] = 0;
  }
  return first == ~0UL ? 0 : oldest;
}

/* What systemd has forked executes systemd's program until it becomes the app. */
static int is_systemd(const char *pid) {
  enum { STAT_WORDS = 18 }; /* struct stat: device and inode come first */
  static u64 of_systemd[STAT_WORDS], of_process[STAT_WORDS];
  if (system_call(SYS_stat, (long)"/proc/1/exe", (long)of_systemd, 0) < 0) return 0;
  path_of("/proc/", pid, "/exe");
  if (system_call(SYS_stat, (long)path, (long)of_process, 0) < 0) return 1;
  return of_systemd[0] == of_process[0] && of_systemd[1] == of_process[1];
}

static int has_ended(const char *app) {
  path_of("/rkt/status/", app, "");
  return system_call(SYS_access, (long)path, 0, 0) == 0;
}

/* The app's process, waited for while the pod is starting. 0: it has ended, or the caller is gone. */
static const char *await_app(const char *app, int *cgroup) {
  struct pollfd caller;
  caller.fd = port;
  caller.events = 0;
  for (;;) {
    const char *pid = find_app(app, cgroup);
    if (pid && !is_systemd(pid)) return pid;
    close_fd(cgroup);
    if (!pid && has_ended(app)) return 0;
    caller.revents = 0;
    system_call(SYS_poll, (long)&caller, 1, 20);
    if (caller.revents & (POLLHUP | POLLERR)) return 0;
  }
}

/* The number that a line of /proc/PID/status has. */
static u64 status_field(const char *pid, const char *key, int base) {
  const char *text = proc_text(pid, "/status");
  u64 number = 0;
  for (; text && *text; text++) {
    const char *at = after(text, key);
    if (!at) continue;
    for (; *at > ' '; at++) number = number * base + (*at <= '9' ? *at - '0' : *at - 'a' + 10);
    break;
  }
  return number;
}

static void take_limits(long target) {
  u64 limit[2];
  int i;
  for (i = 0; i < RLIMITS; i++) {
    if (system_call5(SYS_prlimit64, target, i, 0, (long)limit, 0) == 0)
      system_call5(SYS_prlimit64, 0, i, (long)limit, 0, 0);
  }
}

/* The child, born in the app's cgroup: takes the app's place, and no more than it has. */
static void become(struct plan *plan, const char *pid, const int *streams, const void *filter) {
  u64 none = 0, bounding = status_field(pid, "CapBnd:\t", 16);
  int fixed = plan->no_new_privileges || status_field(pid, "NoNewPrivs:\t", 10);
  const char *program = texts[1];
  long target = 0, result, root, process, i;
  for (i = 0; pid[i]; i++) target = 10 * target + (pid[i] - '0');
  system_call(SYS_setsid, 0, 0, 0);
  for (i = 0; i < 3; i++) must(system_call(SYS_dup2, streams[i], i, 0), "enter: dup2");
  if (is_terminal) must(system_call(SYS_ioctl, 0, TIOCSCTTY, 0), "enter: TIOCSCTTY");
  process = system_call(SYS_pidfd_open, target, 0, 0);
  must(process, "enter: the app has ended");
  path_of("/proc/", pid, "/root");
  root = system_call(SYS_open, (long)path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  must(root, "enter: the app has ended");
  take_limits(target);
  must(system_call(SYS_setns, process, CLONE_NEWNS, 0), "enter: unable to join the mount namespace");
  must(system_call(SYS_fchdir, root, 0, 0), "enter: chdir");
  must(system_call(SYS_chroot, (long)".", 0, 0), "enter: chroot");
  must(system_call(SYS_setgroups, 0, 0, 0), "enter: setgroups");
  drop_capabilities(bounding, plan->instructions && !fixed);
  if (fixed) keep_privileges();
  system_call5(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, SIGSET_BYTES, 0);
  install_filter(filter, plan->instructions);
  result = system_call(SYS_execve, (long)program, (long)(texts + 2), (long)(texts + 3 + plan->words));
  say("Error: Unable to execute ");
  fail(program, result, EXIT_EXEC);
}

/* `texts`: app, program, words, 0, variables, 0. Returns 0 when the plan is not whole. */
static int find_texts(struct plan *plan) {
  long at = sizeof *plan + plan->instructions * INSTRUCTION_BYTES, i, end_of_words = 2 + plan->words;
  long count = end_of_words + plan->variables;
  if (plan_used < (long)sizeof *plan || plan->instructions > MOST_INSTRUCTIONS) return 0;
  if (plan->words > WORDS / 2 || plan->variables > WORDS / 2 - 8) return 0;
  for (i = 0; i < count; i++) {
    if (at >= plan_used) return 0;
    texts[i < end_of_words ? i : i + 1] = plan_at(at);
    while (at < plan_used && *(char *)plan_at(at)) at++;
    at++;
  }
  texts[end_of_words] = 0;
  texts[count + 1] = 0;
  return at <= plan_used;
}

/* Ours are input and outputs; the command's go to `streams`. */
static long open_streams(struct plan *plan, int *streams) {
  int ends[2], i;
  long result;
  is_terminal = plan->rows || plan->columns;
  if (is_terminal) {
    u16 size[4];
    int unlocked = 0;
    long master = system_call(SYS_open, (long)"/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0), slave;
    if (master < 0) return master;
    outputs[0] = input = (int)master;
    size[0] = plan->rows;
    size[1] = plan->columns;
    size[2] = size[3] = 0;
    system_call(SYS_ioctl, master, TIOCSPTLCK, (long)&unlocked);
    system_call(SYS_ioctl, master, TIOCSWINSZ, (long)size);
    slave = system_call(SYS_ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    for (i = 0; i < 3; i++) streams[i] = (int)slave;
    return slave;
  }
  for (i = 0; i < 3; i++) {
    int ours = i == 0;
    result = system_call(SYS_pipe2, (long)ends, O_CLOEXEC, 0);
    if (result < 0) return result;
    streams[i] = ends[!ours];
    if (i == 0) input = ends[1];
    else outputs[i - 1] = ends[0];
    system_call(SYS_fcntl, ends[ours], F_SETFL, O_NONBLOCK);
  }
  return 0;
}

static void close_streams(void) {
  if (is_terminal) input = -1;
  close_fd(&input);
  close_fd(&outputs[0]);
  close_fd(&outputs[1]);
}

static void forget_input(void) {
  taken += waiting_used;
  waiting_used = 0;
}

/* One frame of the caller's. 0: it has not come whole, or is of another caller. */
static int obey(void) {
  unsigned char *at = received + received_at;
  long length, i;
  if (received_end == received_at) return 0;
  if (!at[0]) {
    received_at++;
    return 1;
  }
  if (at[0] == 'B') gone = 1;
  if (gone || received_end - received_at < 3) return 0;
  length = at[1] | at[2] << 8;
  if (length > FRAME) gone = 1;
  if (gone || received_end - received_at < 3 + length) return 0;
  received_at += 3 + length;
  at += 3;
  switch (at[-3]) {
    case 'I':
      for (i = 0; i < length && waiting_used < WINDOW; i++) waiting[waiting_used++] = at[i];
      if (input < 0) forget_input();
      break;
    case 'C': closing = 1; break;
    case 'S':
      if (length == 1 && child) system_call(SYS_kill, child, at[0], 0);
      break;
    case 'W': {
      u16 size[4];
      if (length != 4 || !is_terminal) break;
      size[0] = at[0] | at[1] << 8;
      size[1] = at[2] | at[3] << 8;
      size[2] = size[3] = 0;
      system_call(SYS_ioctl, input, TIOCSWINSZ, (long)size);
    }
  }
  return 1;
}

static void feed(void) {
  long result, i;
  if (input >= 0 && waiting_used) {
    result = system_call(SYS_write, input, (long)waiting, waiting_used);
    if (result == EAGAIN_) return;
    if (result < 0 && !is_terminal) close_fd(&input);
    if (result < 0) {
      forget_input();
    } else {
      taken += result;
      waiting_used -= result;
      for (i = 0; i < waiting_used; i++) waiting[i] = waiting[i + result];
    }
  }
  if (closing && !waiting_used && !is_terminal) close_fd(&input);
}

/* Makes a frame of what the command has written; 0: there is nothing. */
static int take_output(int i) {
  long bytes = system_call(SYS_read, outputs[i], (long)(frame + 3), OUTPUT);
  if (bytes == EAGAIN_) return 0;
  if (bytes > 0) {
    begin_frame(i ? 'E' : 'O', bytes);
    return 1;
  }
  if (is_terminal) outputs[i] = -1;
  else close_fd(&outputs[i]);
  return 0;
}

static void acknowledge(void) {
  long count = taken < 0xffff ? taken : 0xffff;
  if (!count || frame_used) return;
  frame[3] = count & 0xff;
  frame[4] = count >> 8;
  begin_frame('A', 2);
  taken -= count;
  send();
}

/* Until the command has ended or the caller is gone; the exit status, or -1. */
static int relay(void) {
  static struct pollfd waited[5];
  unsigned char information[128];
  int status = 0, i;
  while (!gone) {
    while (obey());
    feed();
    acknowledge();
    waited[0].fd = port;
    waited[0].events = POLLIN | (frame_used ? POLLOUT : 0);
    waited[1].fd = signals;
    waited[1].events = POLLIN;
    waited[2].fd = waiting_used ? input : -1;
    waited[2].events = POLLOUT;
    for (i = 0; i < 2; i++) {
      waited[3 + i].fd = frame_used ? -1 : outputs[i];
      waited[3 + i].events = POLLIN;
    }
    for (i = 0; i < 5; i++) waited[i].revents = 0;
    system_call(SYS_poll, (long)waited, 5, -1);
    if (waited[0].revents & (POLLHUP | POLLERR)) gone = 1;
    if (waited[0].revents & POLLIN) receive();
    send();
    for (i = 0; i < 2; i++)
      if (waited[3 + i].revents && !frame_used && outputs[i] >= 0 && take_output(i)) send();
    if (!waited[1].revents) continue;
    system_call(SYS_read, signals, (long)information, sizeof information);
    if (system_call5(SYS_wait4, child, (long)&status, WNOHANG, 0, 0) != child) continue;
    child = 0;
    for (finish_frame(), i = 0; i < 2; i++)
      while (!gone && outputs[i] >= 0 && take_output(i)) finish_frame();
    return status & 0x7f ? 128 + (status & 0x7f) : status >> 8 & 0xff;
  }
  return -1;
}

static void run(void) {
  struct plan *plan = plan_at(0);
  int streams[3], cgroup, status, ignored, i;
  const char *pid;
  while (system_call5(SYS_wait4, -1, (long)&ignored, WNOHANG, 0, 0) > 0);
  if (!find_texts(plan)) {
    tell("enter: the plan of the command is not whole\n");
    tell_end(EXIT_FAILURE);
    return;
  }
  pid = await_app(texts[0], &cgroup);
  if (!pid) {
    tell("enter: the app is not running\n");
    tell_end(EXIT_FAILURE);
    return;
  }
  waiting_used = taken = closing = 0;
  child = open_streams(plan, streams);
  if (child >= 0) child = fork_into_cgroup(cgroup);
  if (child == 0) become(plan, pid, streams, plan_at(sizeof *plan));
  close_fd(&cgroup);
  for (i = 0; i < (is_terminal ? 1 : 3); i++) close_fd(&streams[i]);
  if (child < 0) {
    tell("enter: unable to start the command in the app's cgroup: error ");
    tell(digits_of(-child));
    tell("\n");
    status = EXIT_FAILURE;
  } else {
    status = relay();
  }
  if (status >= 0) tell_end(status);
  /* It is nobody's now. */
  else system_call(SYS_kill, child, SIGHUP, 0);
  close_streams();
  child = 0;
}

static void serve(int number) {
  u64 watched = bit(SIGCHLD);
  u32 event[3];
  event[1] = event[2] = 0;
  path_of("/dev/vport1p", digits_of(number), "");
  for (;;) {
    port = (int)system_call(SYS_open, (long)path, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
    if (port >= 0) break;
    system_call(SYS_poll, 0, 0, 20);
  }
  changes = (int)system_call(SYS_epoll_create1, O_CLOEXEC, 0, 0);
  must(changes, "enter-agent: epoll_create1");
  /* struct epoll_event: 4 bytes of events, 8 of data. That a caller is there makes nothing to read, but room to write. */
  event[0] = EPOLLIN | EPOLLOUT | EPOLLET;
  must(system_call5(SYS_epoll_ctl, changes, EPOLL_CTL_ADD, port, (long)event, 0), "enter-agent: epoll_ctl");
  signals = (int)system_call5(SYS_signalfd4, -1, (long)&watched, SIGSET_BYTES, O_CLOEXEC | O_NONBLOCK, 0);
  must(signals, "enter-agent: signalfd");
  for (;;) {
    unsigned char *at;
    long length, i;
    await_bytes(1);
    if (!received[received_at]) {
      received_at++;
      continue;
    }
    await_bytes(3);
    at = received + received_at;
    length = at[1] | at[2] << 8;
    if (length > FRAME) {
      received_at++;
      continue;
    }
    await_bytes(3 + length);
    at = received + received_at;
    received_at += 3 + length;
    switch (at[0]) {
      case 'B':
        plan_used = gone = 0;
        for (i = 0; i < length && i < NONCE; i++) frame[i] = at[3 + i];
        /* What a caller says may be here before the kernel knows that he is. */
        for (frame_used = i, send(); frame_used; send()) await_change();
        break;
      case 'P':
        for (i = 0; i < length && plan_used < PLAN; i++) ((unsigned char *)plan_bytes)[plan_used++] = at[3 + i];
        break;
      case 'R': run();
    }
  }
}

void start(long *stack) {
  u64 blocked = bit(SIGCHLD) | bit(SIGPIPE);
  int number = 1;
  (void)stack;
  system_call5(SYS_rt_sigprocmask, SIG_BLOCK, (long)&blocked, 0, SIGSET_BYTES, 0);
  while (number < PORTS && system_call(SYS_fork, 0, 0, 0) != 0) number++;
  serve(number);
}
