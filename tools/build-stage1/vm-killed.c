/*
 * Says that qemu was killed, which it cannot say itself. This library is loaded into the virtiofsd of the host
 * (LD_PRELOAD), which is beside qemu anyway and ends when qemu does. Why:
 * docs/decisions/0051-how-a-virtual-machine-exits.md.
 *
 * qemu's library (vm-exit.c) writes a letter when it starts and another when it exits in order, to a pipe that nobody
 * else writes to. When virtiofsd exits, the pipe has ended, and the second letter is not there, qemu was killed.
 *
 * Its descriptors are the ones that packages/stage1-kvm/src/file-server.ts gives it: the pipe that tells qemu of our
 * end, the one that qemu writes to, and what messages of the pod go to.
 */

#if !defined(__x86_64__)
#error "the library is written for x86-64"
#endif

typedef unsigned long size;
typedef int (*main_function)(int, char **, char **);

enum { OUR_END = 4, LETTERS = 5, MESSAGES = 6, PATIENCE_MS = 2000 };
enum { POLLIN = 1 };

struct pollfd {
  int fd;
  short events, found;
};

extern void *dlsym(void *from, const char *name);
extern int __cxa_atexit(void (*function)(void *), void *argument, void *object);
extern int getpid(void);
extern int poll(struct pollfd *descriptors, unsigned long count, int ms);
extern long read(int fd, void *into, size bytes);
extern long write(int fd, const void *from, size bytes);
extern int close(int fd);

#define NEXT ((void *)-1L)

static int process;
static const char KILLED[] =
    "stage1: the virtual machine was killed: qemu ended by a signal "
    "(if nobody sent it, the host's kernel log says why)\n";

/* qemu's descriptors are closed one after the other, so the pipe may end a little later than what virtiofsd serves. */
static void on_exit(void *nothing) {
  struct pollfd pipe = {LETTERS, POLLIN, 0};
  char letters[2];
  long bytes, seen = 0;
  /* virtiofsd has a child that comes here as well, in a sandbox. */
  if (getpid() != process) return;
  close(OUR_END);
  while (poll(&pipe, 1, PATIENCE_MS) == 1) {
    bytes = read(LETTERS, letters, sizeof letters);
    if (bytes <= 0) {
      if (bytes == 0 && seen == 1) write(MESSAGES, KILLED, sizeof KILLED - 1);
      return;
    }
    seen += bytes;
  }
}

int __libc_start_main(
    main_function function, int count, char **words, void (*init)(void), void (*fini)(void), void (*loader)(void),
    void *stack) {
  int (*next)(main_function, int, char **, void (*)(void), void (*)(void), void (*)(void), void *) =
      dlsym(NEXT, "__libc_start_main");
  process = getpid();
  __cxa_atexit(on_exit, 0, 0);
  return next(function, count, words, init, fini, loader, stack);
}
