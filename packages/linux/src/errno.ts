// Numbers the kernel returns, as names and text, and the error that carries them. Pure; runs in every process.

import { printable } from '@rkt/diagnostics/quote';
import { RktError } from '@rkt/diagnostics/rkt-error';

// Index = errno; the text is that of strerror(3) in the C locale, lower case. The numbers are those of
// asm-generic, which x86-64 and arm64 share; 41 and 58 are unused there.
const ERRNO: readonly string[] = [
  '',
  'EPERM operation not permitted',
  'ENOENT no such file or directory',
  'ESRCH no such process',
  'EINTR interrupted system call',
  'EIO input/output error',
  'ENXIO no such device or address',
  'E2BIG argument list too long',
  'ENOEXEC exec format error',
  'EBADF bad file descriptor',
  'ECHILD no child processes',
  'EAGAIN resource temporarily unavailable',
  'ENOMEM cannot allocate memory',
  'EACCES permission denied',
  'EFAULT bad address',
  'ENOTBLK block device required',
  'EBUSY device or resource busy',
  'EEXIST file exists',
  'EXDEV invalid cross-device link',
  'ENODEV no such device',
  'ENOTDIR not a directory',
  'EISDIR is a directory',
  'EINVAL invalid argument',
  'ENFILE too many open files in system',
  'EMFILE too many open files',
  'ENOTTY inappropriate ioctl for device',
  'ETXTBSY text file busy',
  'EFBIG file too large',
  'ENOSPC no space left on device',
  'ESPIPE illegal seek',
  'EROFS read-only file system',
  'EMLINK too many links',
  'EPIPE broken pipe',
  'EDOM numerical argument out of domain',
  'ERANGE numerical result out of range',
  'EDEADLK resource deadlock avoided',
  'ENAMETOOLONG file name too long',
  'ENOLCK no locks available',
  'ENOSYS function not implemented',
  'ENOTEMPTY directory not empty',
  'ELOOP too many levels of symbolic links',
  '',
  'ENOMSG no message of desired type',
  'EIDRM identifier removed',
  'ECHRNG channel number out of range',
  'EL2NSYNC level 2 not synchronized',
  'EL3HLT level 3 halted',
  'EL3RST level 3 reset',
  'ELNRNG link number out of range',
  'EUNATCH protocol driver not attached',
  'ENOCSI no CSI structure available',
  'EL2HLT level 2 halted',
  'EBADE invalid exchange',
  'EBADR invalid request descriptor',
  'EXFULL exchange full',
  'ENOANO no anode',
  'EBADRQC invalid request code',
  'EBADSLT invalid slot',
  '',
  'EBFONT bad font file format',
  'ENOSTR device not a stream',
  'ENODATA no data available',
  'ETIME timer expired',
  'ENOSR out of streams resources',
  'ENONET machine is not on the network',
  'ENOPKG package not installed',
  'EREMOTE object is remote',
  'ENOLINK link has been severed',
  'EADV advertise error',
  'ESRMNT srmount error',
  'ECOMM communication error on send',
  'EPROTO protocol error',
  'EMULTIHOP multihop attempted',
  'EDOTDOT RFS specific error',
  'EBADMSG bad message',
  'EOVERFLOW value too large for defined data type',
  'ENOTUNIQ name not unique on network',
  'EBADFD file descriptor in bad state',
  'EREMCHG remote address changed',
  'ELIBACC can not access a needed shared library',
  'ELIBBAD accessing a corrupted shared library',
  'ELIBSCN .lib section in a.out corrupted',
  'ELIBMAX attempting to link in too many shared libraries',
  'ELIBEXEC cannot exec a shared library directly',
  'EILSEQ invalid or incomplete multibyte or wide character',
  'ERESTART interrupted system call should be restarted',
  'ESTRPIPE streams pipe error',
  'EUSERS too many users',
  'ENOTSOCK socket operation on non-socket',
  'EDESTADDRREQ destination address required',
  'EMSGSIZE message too long',
  'EPROTOTYPE protocol wrong type for socket',
  'ENOPROTOOPT protocol not available',
  'EPROTONOSUPPORT protocol not supported',
  'ESOCKTNOSUPPORT socket type not supported',
  'EOPNOTSUPP operation not supported',
  'EPFNOSUPPORT protocol family not supported',
  'EAFNOSUPPORT address family not supported by protocol',
  'EADDRINUSE address already in use',
  'EADDRNOTAVAIL cannot assign requested address',
  'ENETDOWN network is down',
  'ENETUNREACH network is unreachable',
  'ENETRESET network dropped connection on reset',
  'ECONNABORTED software caused connection abort',
  'ECONNRESET connection reset by peer',
  'ENOBUFS no buffer space available',
  'EISCONN transport endpoint is already connected',
  'ENOTCONN transport endpoint is not connected',
  'ESHUTDOWN cannot send after transport endpoint shutdown',
  'ETOOMANYREFS too many references: cannot splice',
  'ETIMEDOUT connection timed out',
  'ECONNREFUSED connection refused',
  'EHOSTDOWN host is down',
  'EHOSTUNREACH no route to host',
  'EALREADY operation already in progress',
  'EINPROGRESS operation now in progress',
  'ESTALE stale file handle',
  'EUCLEAN structure needs cleaning',
  'ENOTNAM not a XENIX named type file',
  'ENAVAIL no XENIX semaphores available',
  'EISNAM is a named type file',
  'EREMOTEIO remote I/O error',
  'EDQUOT disk quota exceeded',
  'ENOMEDIUM no medium found',
  'EMEDIUMTYPE wrong medium type',
  'ECANCELED operation canceled',
  'ENOKEY required key not available',
  'EKEYEXPIRED key has expired',
  'EKEYREVOKED key has been revoked',
  'EKEYREJECTED key was rejected by service',
  'EOWNERDEAD owner died',
  'ENOTRECOVERABLE state not recoverable',
  'ERFKILL operation not possible due to RF-kill',
  'EHWPOISON memory page has hardware error',
];

/** A file name as the kernel sees it: text is encoded as UTF-8, bytes are taken as they are. */
export type PathBytes = string | Uint8Array;

/** `ENOENT` for 2, `E4095` for a number without a name. */
export function errnoName(errno: number): string {
  const entry = ERRNO[errno] ?? '';
  return entry === '' ? `E${errno}` : entry.slice(0, entry.indexOf(' '));
}

/** `no such file or directory` for 2. */
export function errnoText(errno: number): string {
  const entry = ERRNO[errno] ?? '';
  return entry === '' ? `unknown error ${errno}` : entry.slice(entry.indexOf(' ') + 1);
}

/** 2 for `ENOENT`; 0 for a name that is not known. */
export function errnoNumber(name: string): number {
  if (name === 'ENOTSUP') return errnoNumber('EOPNOTSUPP');
  if (name === 'EWOULDBLOCK') return errnoNumber('EAGAIN');
  return Math.max(
    0,
    ERRNO.findIndex((entry) => entry.startsWith(`${name} `)),
  );
}

/** Options of {@link KernelError}. */
export interface KernelErrorOptions {
  /** The object of the call. */
  readonly path?: PathBytes | undefined;
  /** Replaces the text of the number where it would mislead. */
  readonly text?: string | undefined;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** A system call failed. `code` is the name of the number; the message is `<syscall> <path>: <text>`. */
export class KernelError extends RktError<string> {
  readonly errno: number;
  readonly syscall: string;
  /** The object of the call as readable text; absent for calls that have none. */
  readonly path: string | undefined;

  constructor(syscall: string, errno: number, options: KernelErrorOptions = {}) {
    const path = options.path === undefined ? undefined : readablePath(options.path);
    const { text = errnoText(errno), hint, cause } = options;
    super(errnoName(errno), `${syscall}${path === undefined ? '' : ` ${path}`}: ${text}`, {
      ...(hint === undefined ? {} : { hint }),
      ...(cause === undefined ? {} : { cause }),
    });
    this.name = 'KernelError';
    this.errno = errno;
    this.syscall = syscall;
    this.path = path;
  }
}

/**
 * The same failure as a {@link KernelError} where node's own file functions threw it, so that messages have one form.
 * Anything that is not such an error is returned as it is.
 */
export function asKernelError(error: unknown, path?: PathBytes): unknown {
  const { code, errno, syscall } = error as NodeJS.ErrnoException;
  if (!(error instanceof Error) || error instanceof KernelError) return error;
  if (typeof code !== 'string' || typeof errno !== 'number') return error;
  return new KernelError(syscall ?? 'system call', Math.abs(errno), {
    path: path ?? (error as NodeJS.ErrnoException).path,
  });
}

/** Runs a synchronous function of node:fs and throws {@link KernelError} where it throws node's own error. */
export function withKernelErrors<T>(path: PathBytes, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw asKernelError(error, path);
  }
}

// Names come out of archives: nothing in them may reach a terminal as a control sequence.
function readablePath(path: PathBytes): string {
  if (typeof path === 'string') return /^[\x20-\x7e]*$/.test(path) ? path : printable(path);
  const text = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('utf8');
  if (!text.includes('\ufffd')) return readablePath(text);
  return Array.from(path, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`,
  ).join('');
}
