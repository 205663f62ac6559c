/*
 * <root>/usr/lib/rkt/iottymux of the nspawn image: stands between an app and those who are attached to it. Runs in the
 * pod, one process for each app with a stream or a terminal to attach to, for as long as the app runs
 * (docs/decisions/0045).
 *
 *   iottymux DIRECTORY      STAGE2_STDIN, _STDOUT, _STDERR, _TTY=true, STAGE2_UID, STAGE2_GID in the environment
 *
 *   app --- stage2-stdout (fifo) ---> ring ---+---> sock-stdout ---> client
 *                                             +---> sock-stdout ---> client
 *   app <-- stage2-stdin (fifo) <--- lines <--+---- sock-stdin  <--- client
 *   app <-> stage2-pts (terminal) <-> the same, both ways, sock-tty
 *
 * Bytes are passed on as they are. Output that nobody is attached for is read and forgotten. While somebody is, the ring
 * holds what the slowest has not got; when it is full the app waits, and who takes nothing for PATIENCE is let go.
 */

#include "kernel.h"

enum { O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0100, O_NOCTTY = 0400, O_TRUNC = 01000 };
enum { S_IFIFO = 0010000, F_SETPIPE_SZ = 1031, TIOCSPTLCK = 0x40045431, TIOCSWINSZ = 0x5414 };
enum { SOCK_DGRAM = 2 };
enum { SIG_BLOCK = 0, SIGSET_BYTES = 8 };
enum { SIGHUP = 1, SIGINT = 2, SIGPIPE = 13, SIGTERM = 15, CLOCK_MONOTONIC = 1 };

#define TIOCGPTN 0x80045430U

enum { STDIN, STDOUT, STDERR, TTY, ENDPOINTS };
/* RING is a power of two; a write of PIECE to a fifo is whole or not at all (PIPE_BUF). */
enum { RING = 262144, LINE = 16384, PIECE = 4096, CLIENTS = 64, TURNS = 16, BACKLOG = 16 };
/* Milliseconds: how long an app waits for a client, and how long the end of an app waits for all of them. */
enum { PATIENCE = 30000, GRACE = 10000, TICK = 1000 };

struct endpoint {
  const char *name, *variable, *fifo, *socket;
  int listener; /* -1: the app has no such endpoint */
  int app;      /* the fifo, or the master of the terminal */
  int dry;      /* the app has ended, and all it wrote is read */
  u64 head;     /* bytes the app has written */
  int turn;     /* whose input comes next; */
  int midline;  /* and whether that client is in the middle of a line */
};

struct client {
  int fd; /* -1: nobody */
  int endpoint;
  int deaf;  /* takes no more output */
  int said;  /* gives no more input */
  u64 next;  /* the first byte of the output that it has not got */
  long used; /* bytes of its input that the app has not got */
  long since; /* when it last took something, or had everything */
};

static struct endpoint endpoints[ENDPOINTS] = {
    {"stdin", "STAGE2_STDIN=true", "stage2-stdin", "sock-stdin", -1, -1, 0, 0, 0, 0},
    {"stdout", "STAGE2_STDOUT=true", "stage2-stdout", "sock-stdout", -1, -1, 0, 0, 0, 0},
    {"stderr", "STAGE2_STDERR=true", "stage2-stderr", "sock-stderr", -1, -1, 0, 0, 0, 0},
    {"tty", "STAGE2_TTY=true", "stage2-pts", "sock-tty", -1, -1, 0, 0, 0, 0},
};
static struct client clients[CLIENTS];
static unsigned char rings[ENDPOINTS][RING], lines[CLIENTS][LINE];
static char text[PIECE], terminal[32];
static long text_used, now, last_progress;
static int slave = -1, ending;

static int writes(int endpoint) {
  return endpoint != STDIN;
}

static int reads(int endpoint) {
  return endpoint == STDIN || endpoint == TTY;
}

static int equal(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

static long milliseconds(void) {
  long time[2];
  system_call(SYS_clock_gettime, CLOCK_MONOTONIC, (long)time, 0);
  return time[0] * 1000 + time[1] / 1000000;
}

static void add(const char *more) {
  while (*more) {
    if (text_used + 1 >= (long)sizeof text) fail("iottymux: too long a name", 0, EXIT_FAILURE);
    text[text_used++] = *more++;
  }
  text[text_used] = 0;
}

static void add_number(long number) {
  char digits[24];
  int i = sizeof digits - 1;
  digits[i] = 0;
  do {
    digits[--i] = '0' + number % 10;
    number /= 10;
  } while (number);
  add(digits + i);
}

static int socket_at(const char *path, int type, int call) {
  static struct address address;
  int i = 0;
  long fd = system_call(SYS_socket, AF_UNIX, type | O_CLOEXEC | (call == SYS_bind ? O_NONBLOCK : 0), 0);
  must(fd, "iottymux: socket");
  address.family = AF_UNIX;
  for (; path[i]; i++) {
    if (i + 1 >= PATH_IN_ADDRESS) fail("iottymux: too long a name", 0, EXIT_FAILURE);
    address.path[i] = path[i];
  }
  address.path[i] = 0;
  if (path[0] == '@') address.path[0] = 0;
  must(system_call(call, fd, (long)&address, sizeof address.family + i + (path[0] == '@' ? 0 : 1)), path);
  return (int)fd;
}

static int open_fifo(const char *name, long uid, long gid) {
  long fd;
  system_call(SYS_unlink, (long)name, 0, 0);
  must(system_call(SYS_mknod, (long)name, S_IFIFO | 0600, 0), name);
  /* Apps open what /dev/stdout leads to. */
  must(system_call(SYS_chown, (long)name, uid, gid), name);
  /* Both ways: with one end held here nobody waits for the other, and a reader or writer that goes is not the end. */
  fd = system_call(SYS_open, (long)name, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
  must(fd, name);
  system_call(SYS_fcntl, fd, F_SETPIPE_SZ, RING);
  return (int)fd;
}

/* Held open here, or the terminal would hang up whenever the app does not have it open. */
static void open_slave(void) {
  long fd = system_call(SYS_open, (long)terminal, O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
  must(fd, terminal);
  if (slave >= 0) system_call(SYS_close, slave, 0, 0);
  slave = (int)fd;
}

static int open_terminal(const char *link) {
  static const u16 size[4] = {24, 80, 0, 0};
  int unlocked = 0, number = 0, i;
  long master = system_call(SYS_open, (long)"/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC, 0);
  must(master, "/dev/ptmx");
  must(system_call(SYS_ioctl, master, TIOCSPTLCK, (long)&unlocked), "iottymux: TIOCSPTLCK");
  must(system_call(SYS_ioctl, master, TIOCGPTN, (long)&number), "iottymux: TIOCGPTN");
  text_used = 0;
  add("/dev/pts/");
  add_number(number);
  for (i = 0; i <= text_used; i++) terminal[i] = text[i];
  open_slave();
  system_call(SYS_ioctl, slave, TIOCSWINSZ, (long)size);
  system_call(SYS_unlink, (long)link, 0, 0);
  must(system_call(SYS_symlink, (long)terminal, (long)link, 0), link);
  return (int)master;
}

/* The list that rkt attach --mode=list shows; there once all of it can be connected to. */
static void write_list(const char *directory) {
  int i, first = 1;
  long fd;
  text_used = 0;
  add("{\"version\":1,\"targets\":[");
  for (i = 0; i < ENDPOINTS; i++) {
    if (endpoints[i].listener < 0) continue;
    if (!first) add(",");
    first = 0;
    add("{\"name\":\"");
    add(endpoints[i].name);
    add("\",\"domain\":\"unix\",\"address\":\"");
    add(directory);
    add("/");
    add(endpoints[i].socket);
    add("\"}");
  }
  add("]}\n");
  fd = system_call(SYS_open, (long)"endpoints.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  must(fd, "endpoints.new");
  if (system_call(SYS_write, fd, (long)text, text_used) != text_used) fail("endpoints.new", 0, EXIT_FAILURE);
  system_call(SYS_close, fd, 0, 0);
  must(system_call(SYS_rename, (long)"endpoints.new", (long)"endpoints", 0), "endpoints");
}

static void tell_systemd(const char *path) {
  int fd;
  if (!path || !*path) return;
  fd = socket_at(path, SOCK_DGRAM, SYS_connect);
  must(system_call(SYS_write, fd, (long)"READY=1\n", 8), "iottymux: READY");
  system_call(SYS_close, fd, 0, 0);
}

static void let_go(struct client *client) {
  system_call(SYS_close, client->fd, 0, 0);
  client->fd = -1;
}

static void let_go_if_done(struct client *client) {
  int heard = client->deaf || !writes(client->endpoint);
  int said = (client->said && client->used == 0) || !reads(client->endpoint);
  if (client->fd >= 0 && heard && said) let_go(client);
}

/* Bytes that may be read from the app: those that no client would lose for it. */
static long room(int endpoint) {
  u64 slowest = endpoints[endpoint].head;
  int i;
  for (i = 0; i < CLIENTS; i++) {
    struct client *client = &clients[i];
    if (client->fd >= 0 && client->endpoint == endpoint && !client->deaf && client->next < slowest) slowest = client->next;
  }
  return (long)(RING - (endpoints[endpoint].head - slowest));
}

static void pass_output(struct client *client) {
  struct endpoint *endpoint = &endpoints[client->endpoint];
  while (client->fd >= 0 && !client->deaf && client->next < endpoint->head) {
    long start = client->next % RING, bytes = endpoint->head - client->next, written;
    if (bytes > RING - start) bytes = RING - start;
    written = system_call(SYS_write, client->fd, (long)(rings[client->endpoint] + start), bytes);
    if (written == -EAGAIN) return;
    if (written < 0) {
      client->deaf = 1;
    } else {
      client->next += written;
      client->since = last_progress = now;
    }
  }
}

static void read_output(int number) {
  struct endpoint *endpoint = &endpoints[number];
  int i, turn;
  for (turn = 0; turn < TURNS; turn++) {
    long start = endpoint->head % RING, bytes = room(number), got;
    if (bytes > RING - start) bytes = RING - start;
    if (bytes == 0) return;
    got = system_call(SYS_read, endpoint->app, (long)(rings[number] + start), bytes);
    if (got <= 0) {
      /* Somebody in the pod hung the terminal up: it can be opened anew. */
      if (got != -EAGAIN && number == TTY && !ending) open_slave();
      else if (got != -EAGAIN && !ending) fail("iottymux: unable to read from the app", got, EXIT_FAILURE);
      if (ending) endpoint->dry = 1;
      return;
    }
    last_progress = now;
    for (i = 0; i < CLIENTS; i++)
      if (clients[i].endpoint == number && clients[i].next == endpoint->head) clients[i].since = now;
    endpoint->head += got;
    for (i = 0; i < CLIENTS; i++) {
      /* Nobody's place in the ring. */
      if (clients[i].fd < 0 || clients[i].endpoint != number) continue;
      pass_output(&clients[i]);
      let_go_if_done(&clients[i]);
    }
  }
}

/* How much of a client's input the app may have: whole lines, if nothing forces otherwise; all that is typed. */
static long ready_input(const struct client *client) {
  long end = client->used;
  if (client->fd < 0) return 0;
  if (client->endpoint == TTY || client->said || client->used == LINE) return end;
  while (end > 0 && lines[client - clients][end - 1] != '\n') end--;
  return end;
}

/* The client whose input comes next, or 0. Who is in the middle of a line ends it first. */
static struct client *next_speaker(struct endpoint *endpoint) {
  int i;
  for (i = endpoint->midline ? 0 : 1; i <= CLIENTS; i++) {
    struct client *client = &clients[(endpoint->turn + i) % CLIENTS];
    if (client->fd < 0 || &endpoints[client->endpoint] != endpoint || ready_input(client) == 0) continue;
    endpoint->turn = client - clients;
    return client;
  }
  return 0;
}

static void pass_input(struct endpoint *endpoint) {
  int turn;
  for (turn = 0; turn < TURNS; turn++) {
    struct client *client = next_speaker(endpoint);
    unsigned char *line;
    long bytes, written, i;
    if (!client) return;
    line = lines[client - clients];
    bytes = ready_input(client);
    if (bytes > PIECE) bytes = PIECE;
    written = system_call(SYS_write, endpoint->app, (long)line, bytes);
    if (written <= 0) return;
    last_progress = now;
    endpoint->midline = line[written - 1] != '\n';
    client->used -= written;
    for (i = 0; i < client->used; i++) line[i] = line[written + i];
    let_go_if_done(client);
  }
}

static void read_input(struct client *client) {
  long got = system_call(SYS_read, client->fd, (long)(lines[client - clients] + client->used), LINE - client->used);
  if (got == -EAGAIN) return;
  if (got < 0) client->deaf = 1;
  if (got <= 0) client->said = 1;
  else client->used += got;
}

static void accept_client(int number) {
  long fd = system_call5(SYS_accept4, endpoints[number].listener, 0, 0, O_NONBLOCK | O_CLOEXEC, 0);
  int i;
  if (fd < 0) return;
  for (i = 0; i < CLIENTS; i++) {
    struct client *client = &clients[i];
    if (client->fd >= 0) continue;
    client->fd = (int)fd;
    client->endpoint = number;
    client->deaf = client->said = 0;
    client->next = endpoints[number].head;
    client->used = 0;
    client->since = now;
    return;
  }
  system_call(SYS_close, fd, 0, 0);
}

/* The app has ended: nobody can come any more, nothing can be said. */
static void begin_end(void) {
  int i;
  if (ending) return;
  ending = 1;
  last_progress = now;
  system_call(SYS_unlink, (long)"endpoints", 0, 0);
  for (i = 0; i < ENDPOINTS; i++) {
    if (endpoints[i].listener < 0) continue;
    system_call(SYS_unlink, (long)endpoints[i].socket, 0, 0);
    system_call(SYS_close, endpoints[i].listener, 0, 0);
    endpoints[i].listener = -1;
  }
}

static int is_over(void) {
  int i;
  if (now - last_progress > GRACE) return 1;
  for (i = 0; i < ENDPOINTS; i++)
    if (endpoints[i].app >= 0 && writes(i) && !endpoints[i].dry) return 0;
  for (i = 0; i < CLIENTS; i++)
    if (clients[i].fd >= 0 && !clients[i].deaf && clients[i].next < endpoints[clients[i].endpoint].head) return 0;
  return 1;
}

/* Those that a full ring waits for. */
static void let_go_of_idlers(int number) {
  int i;
  if (!writes(number) || endpoints[number].app < 0 || room(number) > 0) return;
  for (i = 0; i < CLIENTS; i++) {
    struct client *client = &clients[i];
    if (client->fd < 0 || client->endpoint != number || client->deaf) continue;
    if (client->next + RING == endpoints[number].head && now - client->since > PATIENCE) let_go(client);
  }
}

/* Waits for the next thing to do and does it. polled: the signals, each listener, each app's end, each client. */
static void turn(int signals) {
  enum { LISTENERS = 1, APPS = LISTENERS + ENDPOINTS, PEOPLE = APPS + ENDPOINTS, ALL = PEOPLE + CLIENTS };
  static struct pollfd polled[ALL];
  int i, timeout = ending ? TICK : -1;
  polled[0].fd = ending ? -1 : signals;
  polled[0].events = POLLIN;
  for (i = 0; i < ENDPOINTS; i++) {
    struct pollfd *app = &polled[APPS + i];
    polled[LISTENERS + i].fd = endpoints[i].listener;
    polled[LISTENERS + i].events = POLLIN;
    app->fd = endpoints[i].app;
    app->events = 0;
    if (app->fd < 0) continue;
    if (writes(i) && !endpoints[i].dry) {
      if (room(i) > 0) app->events |= POLLIN;
      else timeout = TICK;
    }
    if (reads(i) && !ending && next_speaker(&endpoints[i])) app->events |= POLLOUT;
    /* What nobody waits for must not wake us. */
    if (!app->events) app->fd = -1;
    /* At the end there is no waiting for the app: what it wrote is there. */
    if (ending && app->events & POLLIN) timeout = 0;
  }
  for (i = 0; i < CLIENTS; i++) {
    struct client *client = &clients[i];
    struct pollfd *person = &polled[PEOPLE + i];
    person->fd = client->fd;
    person->events = 0;
    if (client->fd < 0) continue;
    if (reads(client->endpoint) && !client->said && client->used < LINE && !ending) person->events |= POLLIN;
    if (!client->deaf && client->next < endpoints[client->endpoint].head) person->events |= POLLOUT;
    if (client->deaf && !person->events) person->fd = -1;
    /* Who only speaks is known to have gone when reading finds the end, after all that was said. */
    if (client->endpoint == STDIN && !person->events) person->fd = -1;
  }

  system_call(SYS_poll, (long)polled, ALL, timeout);
  now = milliseconds();
  if (polled[0].revents) begin_end();
  for (i = 0; i < CLIENTS; i++) {
    struct client *client = &clients[i];
    int happened = polled[PEOPLE + i].fd < 0 ? 0 : polled[PEOPLE + i].revents;
    if (client->fd < 0) continue;
    if (polled[PEOPLE + i].events & POLLIN && happened) read_input(client);
    if (happened & (POLLHUP | POLLERR)) client->deaf = 1;
    if (happened & POLLOUT) pass_output(client);
    let_go_if_done(client);
  }
  for (i = 0; i < ENDPOINTS; i++) {
    if (endpoints[i].app >= 0 && reads(i) && !ending) pass_input(&endpoints[i]);
    if (polled[LISTENERS + i].fd >= 0 && polled[LISTENERS + i].revents && !ending) accept_client(i);
    if (endpoints[i].app >= 0 && writes(i) && !endpoints[i].dry &&
        (ending || (polled[APPS + i].fd >= 0 && polled[APPS + i].revents & ~POLLOUT)))
      read_output(i);
    let_go_of_idlers(i);
  }
}

void start(long *stack) {
  long count = stack[0], uid = 0, gid = 0, i;
  const char **argv = (const char **)(stack + 1), **variable;
  const char *notify = 0;
  u64 watched = 1UL << (SIGHUP - 1) | 1UL << (SIGINT - 1) | 1UL << (SIGTERM - 1);
  u64 blocked = watched | 1UL << (SIGPIPE - 1);
  int wanted[ENDPOINTS] = {0, 0, 0, 0};
  long signals;

  if (count != 2) fail("iottymux: usage: iottymux DIRECTORY", 0, EXIT_FAILURE);
  for (variable = argv + count + 1; *variable; variable++) {
    const char *value;
    for (i = 0; i < ENDPOINTS; i++) if (equal(*variable, endpoints[i].variable)) wanted[i] = 1;
    if ((value = after(*variable, "STAGE2_UID="))) for (uid = 0; *value; value++) uid = 10 * uid + *value - '0';
    if ((value = after(*variable, "STAGE2_GID="))) for (gid = 0; *value; value++) gid = 10 * gid + *value - '0';
    if ((value = after(*variable, "NOTIFY_SOCKET="))) notify = value;
  }
  must(system_call(SYS_chdir, (long)argv[1], 0, 0), argv[1]);
  system_call(SYS_umask, 077, 0, 0);
  system_call5(SYS_rt_sigprocmask, SIG_BLOCK, (long)&blocked, 0, SIGSET_BYTES, 0);
  signals = system_call5(SYS_signalfd4, -1, (long)&watched, SIGSET_BYTES, O_CLOEXEC, 0);
  must(signals, "iottymux: signalfd");
  now = milliseconds();
  for (i = 0; i < CLIENTS; i++) clients[i].fd = -1;
  for (i = 0; i < ENDPOINTS; i++) {
    struct endpoint *endpoint = &endpoints[i];
    if (!wanted[i]) continue;
    endpoint->app = i == TTY ? open_terminal(endpoint->fifo) : open_fifo(endpoint->fifo, uid, gid);
    system_call(SYS_unlink, (long)endpoint->socket, 0, 0);
    endpoint->listener = socket_at(endpoint->socket, SOCK_STREAM, SYS_bind);
    must(system_call(SYS_listen, endpoint->listener, BACKLOG, 0), endpoint->socket);
  }
  write_list(argv[1]);
  tell_systemd(notify);
  do turn((int)signals);
  while (!(ending && is_over()));
  quit(0);
}
