// The guest as a running machine: qemu, the share of this repository, and the line to the agent in it. Runs as root on
// the host. qemu emulates the processor, so that this works wherever qemu does.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import type { GuestImage } from './image.ts';

const MEMORY = '3G';
const CPUS = 2;
const BOOT_MS = 180_000;
/** Where Debian's qemu-system-common has it; not on PATH. */
const VIRTIOFSD = '/usr/lib/qemu/virtiofsd';

const KERNEL_COMMAND_LINE = [
  'console=ttyS0 quiet loglevel=3 panic=-1 systemd.show_status=0',
  // What an emulated processor has no use for.
  'mitigations=off random.trust_cpu=on audit=0 apparmor=0 net.ifnames=0 nowatchdog',
].join(' ');

/** SELinux that counts what it would deny; the files of the disk have no labels. */
const WITH_SELINUX = 'selinux=1 security=selinux enforcing=0';
const WITHOUT_SELINUX = 'selinux=0';

/** The record separator: between what a job writes and what the agent says. */
const RECORD = '\u001e';

/** What a guest is made of. */
export interface MachineOptions {
  readonly image: GuestImage;
  /** Seen in the guest as /rkt, which it cannot change. */
  readonly share: string;
  /** Whether the kernel has SELinux on, which denies nothing. */
  readonly selinux?: boolean;
}

/** A booted guest. */
export class Machine {
  readonly #directory: string;
  readonly #children: ChildProcess[] = [];
  readonly #socket: net.Socket;
  #received = '';
  #output: (text: string) => void = () => undefined;
  #answer: ((line: string) => void) | undefined;
  #broken: ((error: Error) => void) | undefined;

  private constructor(directory: string, children: ChildProcess[], socket: net.Socket) {
    this.#directory = directory;
    this.#children = children;
    this.#socket = socket;
    socket.setEncoding('utf8').on('data', (text: string) => this.#read(text));
    socket.on('close', () => this.#broken?.(new Error(`the guest has ended: ${this.consoleText()}`)));
  }

  /** Boots a guest and waits until its agent answers. @throws Error with what the guest's console said */
  static async boot({ image, share, selinux = false }: MachineOptions): Promise<Machine> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rkt-guest-'));
    const inDirectory = (name: string): string => path.join(directory, name);
    const children: ChildProcess[] = [];
    const start = (program: string, args: readonly string[], log: string): ChildProcess => {
      const fd = fs.openSync(inDirectory(log), 'a');
      // Whatever ends this process ends the guest. TMPDIR is where qemu keeps what the guest writes to its disk.
      const child = spawn('setpriv', ['--pdeathsig=KILL', '--', program, ...args], {
        stdio: ['ignore', fd, fd],
        env: { ...process.env, TMPDIR: directory },
      });
      fs.closeSync(fd);
      child.on('error', (error) => fs.appendFileSync(inDirectory(log), `${program}: ${error.message}\n`));
      children.push(child);
      return child;
    };
    try {
      // Nothing in the guest may change the repository, not even a program that mounts the share once more.
      const serve = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"';
      const files = [
        `--socket-path=${inDirectory('fs.sock')}`,
        '-o',
        `source=${share}`,
        '-o',
        'cache=always',
      ];
      start('unshare', ['--mount', 'sh', '-c', serve, 'sh', share, VIRTIOFSD, ...files], 'virtiofsd.log');
      await waitForFile(inDirectory('fs.sock'));
      const qemu = start('qemu-system-x86_64', qemuArguments(image, selinux, inDirectory), 'qemu.log');
      await waitForFile(inDirectory('agent.sock'));
      const machine = new Machine(directory, children, await connect(inDirectory('agent.sock')));
      qemu.once('close', () => machine.#socket.destroy());
      await machine.#reply('READY', BOOT_MS);
      return machine;
    } catch (error) {
      const said = ['console', 'qemu.log', 'virtiofsd.log'].map((name) => tail(inDirectory(name)));
      await end(children);
      fs.rmSync(directory, { recursive: true, force: true });
      throw new Error(`the guest does not boot: ${(error as Error).message}\n${said.join('')}`, {
        cause: error,
      });
    }
  }

  /** The end of what the guest wrote to its console. */
  consoleText(): string {
    return tail(path.join(this.#directory, 'console'));
  }

  /**
   * Runs a shell script as root in the guest and gives its exit status; `output` receives what it writes.
   *
   * @throws Error when the guest ends, or the script does not end in time
   */
  async run(script: string, output: (text: string) => void, timeoutMs: number): Promise<number> {
    this.#output = output;
    this.#socket.write(`${Buffer.from(script).toString('base64')}\n`);
    return Number(await this.#reply('EXIT', timeoutMs));
  }

  /** Ends the guest; what it wrote to its disk is gone. */
  async end(): Promise<void> {
    this.#broken = undefined;
    await end(this.#children);
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  async #reply(word: string, timeoutMs: number): Promise<string> {
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no ${word} after ${timeoutMs} ms`)), timeoutMs);
        this.#broken = reject;
        this.#answer = (line) => {
          if (line.startsWith(word)) resolve(line.slice(word.length).trim());
        };
      });
    } finally {
      clearTimeout(timer);
      this.#answer = undefined;
      this.#broken = undefined;
    }
  }

  #read(text: string): void {
    this.#received += text;
    for (;;) {
      const start = this.#received.indexOf(RECORD);
      const written = start === -1 ? this.#received : this.#received.slice(0, start);
      if (written !== '') this.#output(written);
      this.#received = this.#received.slice(written.length);
      const stop = this.#received.indexOf('\n');
      if (start === -1 || stop === -1) return;
      const line = this.#received.slice(1, stop);
      this.#received = this.#received.slice(stop + 1);
      this.#answer?.(line);
    }
  }
}

function qemuArguments(image: GuestImage, selinux: boolean, inDirectory: (name: string) => string): string[] {
  const commandLine = `${KERNEL_COMMAND_LINE} ${selinux ? WITH_SELINUX : WITHOUT_SELINUX}`;
  return [
    ['-accel', 'tcg,thread=multi', '-cpu', 'Nehalem', '-smp', `${CPUS}`, '-m', MEMORY],
    ['-M', 'q35,usb=off,vmport=off,smbus=off,sata=off,memory-backend=memory'],
    // The share's server reads and writes the guest's memory.
    ['-object', `memory-backend-memfd,id=memory,size=${MEMORY},share=on`],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ['-kernel', image.kernel, '-initrd', image.initrd, '-append', commandLine],
    ['-drive', `file=${image.disk},format=raw,if=virtio,snapshot=on,cache=unsafe`],
    ['-chardev', `socket,id=fs,path=${inDirectory('fs.sock')}`],
    ['-device', 'vhost-user-fs-pci,chardev=fs,tag=rkt', '-device', 'virtio-rng-pci'],
    ['-chardev', `file,id=console,path=${inDirectory('console')}`, '-serial', 'chardev:console'],
    ['-chardev', `socket,id=agent,path=${inDirectory('agent.sock')},server=on,wait=off`],
    ['-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=agent,name=rkt.agent'],
  ].flat();
}

async function waitForFile(file: string): Promise<void> {
  for (let tries = 0; !fs.existsSync(file); tries += 1) {
    if (tries === 500) throw new Error(`${path.basename(file)} does not appear`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

function connect(file: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(file, () => resolve(socket));
    socket.once('error', reject);
  });
}

async function end(children: readonly ChildProcess[]): Promise<void> {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) continue;
    const closed = new Promise((resolve) => {
      child.once('exit', resolve);
    });
    child.kill('SIGKILL');
    await closed;
  }
}

function tail(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').slice(-3000);
  } catch {
    return '';
  }
}
