// What apps of the suites about services do, and no shell can; for {@link tinyProgram}. Runs in the mocha process.

/** Answers connections of the socket at descriptor 3, that many, then ends. */
export const answering = (connections: number): string => `
void _start(void) {
  long i, fd;
  for (i = 0; i < ${connections}; i++) {
    fd = call(43, 3, 0, 0, 0, 0, 0);
    if (fd < 0) { say("no socket at 3\\n"); quit(1); }
    call(1, fd, (long)"hello from the pod\\n", 19, 0, 0, 0);
    call(3, fd, 0, 0, 0, 0, 0);
  }
  quit(0);
}
`;

/** Answers one connection. */
export const ANSWER: string = answering(1);

/** Answers one datagram of the socket at descriptor 3, then ends. */
export const ANSWER_DATAGRAM = `
static char from[128], text[16];
static int size = sizeof from;
void _start(void) {
  long got = call(45, 3, (long)text, sizeof text, 0, (long)from, (long)&size);
  if (got < 0) { say("no datagram socket at 3\\n"); quit(1); }
  call(44, 3, (long)"hello from the pod\\n", 19, 0, (long)from, size);
  quit(0);
}
`;

/** Waits for a second and tells systemd that it is ready, then says so and waits. */
export const NOTIFY = `
struct { unsigned short family; char path[108]; } address;
void _start(void) {
  static const char path[] = "/run/systemd/notify";
  long wait[2], fd, i;
  wait[0] = 1; wait[1] = 0;
  call(35, (long)wait, 0, 0, 0, 0, 0);
  address.family = 1;
  for (i = 0; path[i]; i++) address.path[i] = path[i];
  fd = call(41, 1, 2, 0, 0, 0, 0);
  say("telling\\n");
  if (call(44, fd, (long)"READY=1", 7, 0, (long)&address, sizeof address.family + sizeof path) != 7) { say("cannot\\n"); quit(1); }
  wait[0] = 100;
  call(35, (long)wait, 0, 0, 0, 0, 0);
  quit(0);
}
`;
