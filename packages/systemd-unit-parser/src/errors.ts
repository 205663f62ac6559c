// The one error class of this package. Pure; runs anywhere.

/** What went wrong: text that is no unit file, a value no unit file can hold, or a name that cannot be escaped. */
export type UnitErrorCode = 'syntax' | 'unrepresentable' | 'escape';

/** Thrown by every function of this package. */
export class UnitError extends Error {
  readonly code: UnitErrorCode;
  /** Line of the input the problem is in, counted from 1; absent where there is no input text. */
  readonly line: number | undefined;

  constructor(code: UnitErrorCode, message: string, line?: number) {
    super(line === undefined ? message : `line ${line}: ${message}`);
    this.name = 'UnitError';
    this.code = code;
    this.line = line;
  }
}
