/**
 * Every failure of layer8 is one of these: what failed, on what, and (hint) what to do about it.
 * The command line prints `message` and `hint` as one short paragraph and exits with `exitCode`.
 */
export abstract class Layer8Error extends Error {
  /** Exit code of the command line for this class of failure. */
  abstract readonly exitCode: number;
  /** What the reader can do about it; empty where there is nothing to add. */
  readonly hint: string;

  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint ?? '';
    this.name = new.target.name;
  }
}

/** Wrong usage of the command line or of a function of the library. */
export class UsageError extends Layer8Error {
  readonly exitCode = 2;
}

/** Model files: missing, damaged, of another architecture, or not fit for what was asked. */
export class ModelError extends Layer8Error {
  readonly exitCode = 3;
}

/** Text and input files. */
export class InputError extends Layer8Error {
  readonly exitCode = 4;
}

/** No adapter that can run the model. */
export class NoGpuError extends Layer8Error {
  readonly exitCode = 5;
}

/** The GPU failed while it ran: device lost, out of memory, a validation error, no answer in time. */
export class GpuError extends Layer8Error {
  readonly exitCode: number = 6;
}

/** The device went away. Work that only depends on its inputs may be done again on a new one. */
export class DeviceLostError extends GpuError {}

/** The GPU's memory does not suffice. A smaller batch may. */
export class OutOfMemoryError extends GpuError {}

/** A kernel that this driver does not compile. Another rung of the ladder may do. */
export class CompileError extends GpuError {}

/** Network and disk. */
export class IoError extends Layer8Error {
  readonly exitCode = 7;
}

/** NaN or infinity where a number belongs, or an adapter that computes wrongly. */
export class NumericError extends Layer8Error {
  readonly exitCode = 8;
}

/** Ctrl-C or SIGTERM while work was under way. */
export class InterruptedError extends Layer8Error {
  readonly exitCode = 130;
}
