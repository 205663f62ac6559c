/*
 * <root>/usr/lib/rkt/attach of the nspawn image: what the entry point `attach` becomes. Passes bytes between the
 * caller's streams and the endpoints of an app (docs/decisions/0046). Runs on the host; no file of the pod is read.
 *
 *   attach WORD...    stdin:FD  stdout:FD  stderr:FD  tty-in:FD  tty-out:FD  tty:FD    a socket, open for its path only
 *                     size:FD                                                         the app's terminal, to tell its size
 *
 * Ends when all output has ended, and when there is none, when all input has been given. On a terminal ctrl-p ctrl-q
 * ends it as well. However it ends, but for SIGKILL, the terminal is as it was before.
 */

#include "kernel.h"

enum { SHUT_WR = 1 };
enum { TCGETS = 0x5401, TCSETSW = 0x5403, TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414 };
enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIGSET_BYTES = 8, SA_RESTORER = 0x4000000 };
enum { SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGPIPE = 13, SIGTERM = 15, SIGCONT = 18, SIGWINCH = 28 };
enum { LINKS = 4, PIECE = 4096, NOWHERE = -1, CTRL_P = 020, CTRL_Q = 021, DIAL_TRIES = 150 };

struct terminal_mode {
  u32 input, output, control, local;
  unsigned char line, characters[19];
};

/* One connection: what comes goes to `to`, and what the caller says may go into it. */
struct link {
  int path, fd, to, listens; /* fd -1: it has ended */
  long start, end;           /* of `held`: what came and is not yet passed on */
  char held[PIECE];
};

static struct link links[LINKS];
static int count, speaks = -1, size_fd = -1, is_raw, is_terminal, has_prefix;
static char typed[PIECE + 1], incoming[PIECE];
static long typed_start, typed_end;
static int input_over, is_shut;
static struct terminal_mode before;

static int number_of(const char *digits) {
  int number = 0;
  for (; *digits >= '0' && *digits <= '9'; digits++) number = 10 * number + *digits - '0';
  return number;
}

static void restore_terminal(void) {
  if (is_raw) system_call(SYS_ioctl, 0, TCSETSW, (long)&before);
  is_raw = 0;
}

/* cfmakeraw(3). */
static void make_raw(void) {
  struct terminal_mode raw;
  u32 *from = (u32 *)&before, *to = (u32 *)&raw;
  unsigned i;
  if (!is_terminal) return;
  for (i = 0; i < sizeof raw / sizeof *to; i++) to[i] = from[i];
  raw.input &= ~(u32)(1 | 2 | 8 | 040 | 0100 | 0200 | 0400 | 02000);
  raw.output &= ~(u32)1;
  raw.local &= ~(u32)(1 | 2 | 010 | 0100 | 0100000);
  raw.control = (raw.control & ~(u32)(060 | 0400)) | 060;
  raw.characters[6] = 1; /* VMIN */
  raw.characters[5] = 0; /* VTIME */
  if (system_call(SYS_ioctl, 0, TCSETSW, (long)&raw) == 0) is_raw = 1;
}

static void end(int status) {
  restore_terminal();
  quit(status);
}

static void on_signal(int signal) {
  end(128 + signal);
}

/* Never reached: the handler does not return. The kernel wants it all the same. */
static void no_return(void) {
  quit(EXIT_FAILURE);
}

static void watch_signal(int signal) {
  struct {
    void (*handler)(int);
    u64 flags;
    void (*restorer)(void);
    u64 mask;
  } action;
  action.handler = on_signal;
  action.flags = SA_RESTORER;
  action.restorer = no_return;
  action.mask = 0;
  system_call5(SYS_rt_sigaction, signal, (long)&action, 0, SIGSET_BYTES, 0);
}

/* The app's terminal gets the size of ours; the same size is told as well, for programs that fill the screen. */
static void tell_size(void) {
  u16 ours[4], theirs[4];
  if (size_fd < 0 || !is_terminal) return;
  if (system_call(SYS_ioctl, 0, TIOCGWINSZ, (long)ours) < 0 || (!ours[0] && !ours[1])) return;
  if (system_call(SYS_ioctl, size_fd, TIOCGWINSZ, (long)theirs) == 0 && ours[0] == theirs[0] && ours[1] == theirs[1]) {
    theirs[0]++;
    system_call(SYS_ioctl, size_fd, TIOCSWINSZ, (long)theirs);
  }
  system_call(SYS_ioctl, size_fd, TIOCSWINSZ, (long)ours);
}

static int dial(int path_fd) {
  static struct address address;
  static const long pause[2] = {0, 100000000};
  const char *prefix = "/proc/self/fd/";
  char digits[12];
  int i = 0, d = 0, tries;
  long fd = system_call(SYS_socket, AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0), result;
  must(fd, "attach: socket");
  address.family = AF_UNIX;
  while (prefix[i]) address.path[i] = prefix[i], i++;
  do digits[d++] = '0' + path_fd % 10, path_fd /= 10;
  while (path_fd);
  while (d) address.path[i++] = digits[--d];
  address.path[i] = 0;
  /* EAGAIN: many are waiting to be let in. */
  for (tries = 0; tries < DIAL_TRIES; tries++) {
    result = system_call(SYS_connect, fd, (long)&address, sizeof address.family + i + 1);
    if (result == 0) return (int)fd;
    if (result != -EAGAIN) break;
    system_call(SYS_nanosleep, (long)pause, 0, 0);
  }
  system_call(SYS_close, fd, 0, 0);
  return (int)result;
}

static void add_link(const char *digits, int to, int is_speaker) {
  struct link *link = &links[count];
  if (count == LINKS) fail("attach: too many words", 0, EXIT_FAILURE);
  link->path = number_of(digits);
  link->to = to;
  link->listens = to != NOWHERE;
  if (is_speaker) speaks = count;
  count++;
}

static void parse(const char *word) {
  const char *value;
  if ((value = after(word, "stdin:"))) add_link(value, NOWHERE, 1);
  else if ((value = after(word, "stdout:"))) add_link(value, 1, 0);
  else if ((value = after(word, "stderr:"))) add_link(value, 2, 0);
  else if ((value = after(word, "tty:"))) add_link(value, 1, speaks < 0);
  else if ((value = after(word, "tty-in:"))) add_link(value, NOWHERE, speaks < 0);
  else if ((value = after(word, "tty-out:"))) add_link(value, 1, 0);
  else if ((value = after(word, "size:"))) size_fd = number_of(value);
  else fail("attach: unknown word", 0, EXIT_FAILURE);
}

/* The app's end closes the door; if it still opens, only we were shown out. */
static void ended(struct link *link) {
  int again;
  system_call(SYS_close, link->fd, 0, 0);
  link->fd = -1;
  /* Who has said everything is let go. */
  if (is_shut && !link->listens) return;
  again = dial(link->path);
  if (again < 0) return;
  restore_terminal();
  say("attach: the pod ended the connection: too many are attached, or the output was not read for 30 seconds\n");
  quit(EXIT_FAILURE);
}

static void receive(struct link *link) {
  long got = system_call(SYS_read, link->fd, (long)link->held, PIECE);
  if (got == -EAGAIN) return;
  if (got <= 0) {
    ended(link);
    return;
  }
  link->start = 0;
  link->end = link->to == NOWHERE ? 0 : got;
}

/* Waited for: a write of so little does not block a pipe that can be written to. */
static void print(struct link *link) {
  long written = system_call(SYS_write, link->to, (long)(link->held + link->start), link->end - link->start);
  if (written == -EAGAIN) return;
  /* Nobody reads: the end of all, as for any program in a pipe. */
  if (written < 0) end(128 + SIGPIPE);
  link->start += written;
}

static void detach(void) {
  restore_terminal();
  say("\ndetached\n");
  quit(0);
}

/* What was typed, but for ctrl-p ctrl-q; a ctrl-p waits for what comes next. */
static void read_input(int watches_keys) {
  long got = system_call(SYS_read, 0, (long)incoming, PIECE), i;
  if (got == -EAGAIN) return;
  typed_start = typed_end = 0;
  if (got <= 0) {
    input_over = 1;
    if (has_prefix) typed[typed_end++] = CTRL_P;
  }
  for (i = 0; i < got; i++) {
    if (has_prefix) {
      has_prefix = 0;
      if (incoming[i] == CTRL_Q) detach();
      typed[typed_end++] = CTRL_P;
      if (incoming[i] == CTRL_P) {
        has_prefix = 1;
        continue;
      }
    } else if (watches_keys && incoming[i] == CTRL_P) {
      has_prefix = 1;
      continue;
    }
    typed[typed_end++] = incoming[i];
  }
}

static void send_input(struct link *link) {
  long written = system_call(SYS_write, link->fd, (long)(typed + typed_start), typed_end - typed_start);
  if (written == -EAGAIN) return;
  /* The reading end tells why. */
  if (written < 0) typed_start = typed_end;
  else typed_start += written;
}

static int is_over(void) {
  int i, listening = 0, open = 0;
  for (i = 0; i < count; i++) {
    if (links[i].fd >= 0 || links[i].start < links[i].end) open = 1;
    if (links[i].listens && (links[i].fd >= 0 || links[i].start < links[i].end)) listening = 1;
  }
  if (!open) return 1;
  for (i = 0; i < count; i++) if (links[i].listens) return !listening;
  return is_shut;
}

static void turn(int signals) {
  /* polled: the signals, our input, each connection, and where its output goes */
  static struct pollfd polled[2 + 2 * LINKS];
  static char information[128];
  struct link *speaker = speaks >= 0 && links[speaks].fd >= 0 ? &links[speaks] : 0;
  int i;
  polled[0].fd = signals;
  polled[0].events = POLLIN;
  polled[1].fd = speaker && !input_over && typed_start == typed_end ? 0 : -1;
  polled[1].events = POLLIN;
  for (i = 0; i < count; i++) {
    struct link *link = &links[i];
    struct pollfd *from = &polled[2 + i], *to = &polled[2 + LINKS + i];
    int has_output = link->start < link->end;
    from->fd = link->fd;
    from->events = has_output ? 0 : POLLIN;
    if (link == speaker && typed_start < typed_end) from->events |= POLLOUT;
    if (!from->events) from->fd = -1;
    to->fd = has_output ? link->to : -1;
    to->events = POLLOUT;
  }
  system_call(SYS_poll, (long)polled, 2 + 2 * LINKS, -1);
  if (polled[0].revents) {
    system_call(SYS_read, signals, (long)information, sizeof information);
    if (is_raw) make_raw();
    tell_size();
  }
  if (polled[1].fd >= 0 && polled[1].revents) read_input(is_raw);
  if (speaker && input_over && !is_shut && typed_start == typed_end) {
    is_shut = 1;
    system_call(SYS_shutdown, speaker->fd, SHUT_WR, 0);
  }
  for (i = 0; i < count; i++) {
    struct link *link = &links[i];
    if (polled[2 + i].fd >= 0 && polled[2 + i].revents) {
      if (link == speaker && typed_start < typed_end) send_input(link);
      if (polled[2 + i].events & POLLIN && polled[2 + i].revents & ~POLLOUT) receive(link);
    }
    if (polled[2 + LINKS + i].fd >= 0 && polled[2 + LINKS + i].revents) print(link);
  }
}

void start(long *stack) {
  const char **argv = (const char **)(stack + 1);
  u64 watched = 1UL << (SIGWINCH - 1) | 1UL << (SIGCONT - 1);
  u64 blocked = watched | 1UL << (SIGPIPE - 1);
  u64 ending = 1UL << (SIGHUP - 1) | 1UL << (SIGINT - 1) | 1UL << (SIGQUIT - 1) | 1UL << (SIGTERM - 1);
  long signals;
  int i, speaks_to_terminal = 0;
  for (i = 1; i < stack[0]; i++) {
    int previous = speaks;
    parse(argv[i]);
    if (speaks != previous) speaks_to_terminal = after(argv[i], "tty") != 0;
  }
  if (count == 0) fail("attach: nothing to attach to", 0, EXIT_FAILURE);
  for (i = 0; i < count; i++) {
    links[i].fd = dial(links[i].path);
    must(links[i].fd, "attach: unable to connect to the app");
  }
  system_call5(SYS_rt_sigprocmask, SIG_BLOCK, (long)&blocked, 0, SIGSET_BYTES, 0);
  signals = system_call5(SYS_signalfd4, -1, (long)&watched, SIGSET_BYTES, O_CLOEXEC | O_NONBLOCK, 0);
  must(signals, "attach: signalfd");
  if (speaks_to_terminal && system_call(SYS_ioctl, 0, TCGETS, (long)&before) == 0) {
    is_terminal = 1;
    watch_signal(SIGHUP);
    watch_signal(SIGINT);
    watch_signal(SIGQUIT);
    watch_signal(SIGTERM);
    make_raw();
  }
  system_call5(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&ending, 0, SIGSET_BYTES, 0);
  tell_size();
  while (!is_over()) turn((int)signals);
  end(0);
}
