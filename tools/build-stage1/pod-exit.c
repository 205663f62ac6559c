/*
 * /usr/lib/rkt/pod-exit of the kvm image: the pod's last process, which leaves the pod's exit status to the host and
 * switches the machine off (docs/decisions/0051). Runs in the guest; `exit` becomes it. Static: busybox, journalctl
 * and their libraries take as long to load as all else that a short pod does.
 */

#include "kernel.h"

enum { O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_NOCTTY = 0400, TCSBRK = 0x5409 };
enum { LINUX_REBOOT_MAGIC2 = 672274793 };

#define LINUX_REBOOT_MAGIC1 0xfee1dead
#define LINUX_REBOOT_CMD_POWER_OFF 0x4321fedc

/* journald has read what the apps wrote, and written it to the terminal: what `journalctl --sync` asks for. */
static void synchronize_journal(void) {
  static const char call[] = "{\"method\":\"io.systemd.Journal.Synchronize\",\"parameters\":{}}";
  static struct address address = {AF_UNIX, "/run/systemd/journal/io.systemd.journal"};
  static char reply[256];
  long fd = system_call(SYS_socket, AF_UNIX, SOCK_STREAM, 0), bytes;
  if (system_call(SYS_connect, fd, (long)&address, sizeof address) < 0) return;
  /* Messages end with a zero. */
  if (system_call(SYS_write, fd, (long)call, sizeof call) < 0) return;
  do bytes = system_call(SYS_read, fd, (long)reply, sizeof reply);
  while (bytes > 0 && reply[bytes - 1]);
}

/* What was written to the terminal has been sent. */
static void drain_terminal(void) {
  long fd = system_call(SYS_open, (long)"/dev/hvc0", O_RDWR | O_NOCTTY, 0);
  system_call(SYS_ioctl, fd, TCSBRK, 1);
}

static void report(void) {
  static char status[8] = "0\n";
  long fd = system_call(SYS_open, (long)"/run/rkt-exit", O_RDONLY, 0), bytes = 2, written;
  if (fd >= 0) bytes = system_call(SYS_read, fd, (long)status, sizeof status);
  /* The file has room for it already: also where the disk is full. */
  fd = system_call(SYS_open, (long)"/rkt/exit", O_WRONLY, 0);
  written = bytes > 0 ? system_call(SYS_write, fd, (long)status, bytes) : -1;
  if (written != bytes) say("rkt: cannot report the exit status of the pod\n");
}

void start(long *stack) {
  (void)stack;
  synchronize_journal();
  drain_terminal();
  report();
  system_call(SYS_sync, 0, 0, 0);
  system_call(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF);
  quit(EXIT_FAILURE);
}
