// What the guest is told of a command: struct plan of tools/build-stage1/enter-agent.c, the filter of system calls, and
// texts. Pure.

/** The size of a terminal. */
export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** A command that enters an app. */
export interface EnterPlan {
  readonly app: string;
  /** Absolute, in the app's root. */
  readonly executable: string;
  readonly argv: readonly string[];
  readonly environment: readonly { readonly name: string; readonly value: string }[];
  readonly noNewPrivileges: boolean;
  /** As the kernel takes it; absent: none. */
  readonly filter: Buffer | undefined;
  /** Absent: the command gets three streams. */
  readonly terminal: TerminalSize | undefined;
}

const HEADER_BYTES = 24;
/** sizeof(struct sock_filter). */
const INSTRUCTION_BYTES = 8;

/** The bytes of a plan. */
export function encodePlan(plan: EnterPlan): Buffer {
  const { app, executable, argv, environment, filter, terminal } = plan;
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(plan.noNewPrivileges ? 1 : 0, 0);
  header.writeUInt32LE((filter?.length ?? 0) / INSTRUCTION_BYTES, 4);
  header.writeUInt32LE(argv.length, 8);
  header.writeUInt32LE(environment.length, 12);
  if (terminal !== undefined) encodeSize(terminal).copy(header, 16);
  const texts = [app, executable, ...argv, ...environment.map(({ name, value }) => `${name}=${value}`)];
  return Buffer.concat([header, filter ?? Buffer.alloc(0), ...texts.map((text) => Buffer.from(`${text}\0`))]);
}

/** A terminal is told from none by its size: who does not know it gets the usual one. */
export function encodeSize({ rows, columns }: TerminalSize): Buffer {
  const size = Buffer.alloc(4);
  size.writeUInt16LE(rows || 24, 0);
  size.writeUInt16LE(columns || 80, 2);
  return size;
}
