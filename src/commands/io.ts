import type { Readable } from 'node:stream';
import { InterruptedError } from '../errors.ts';
import type { TextStream } from '../report/stream.ts';

/**
 * What a command may touch of the process. A command returns its exit code, or throws a typed error; it never calls
 * `process.exit`, so that whatever it holds is disposed.
 */
export interface CommandIo {
  stdin: Readable & { isTTY?: boolean };
  /** Results only. */
  stdout: TextStream;
  /** Notes, warnings, progress. */
  stderr: TextStream;
  env: NodeJS.ProcessEnv;
  /** Aborts at Ctrl-C and SIGTERM with an InterruptedError as its reason, and where the reader of stdout has gone. */
  signal: AbortSignal;
}

/** A command: the arguments after its name, and its exit code. */
export type Command = (args: string[], io: CommandIo) => Promise<number>;

/**
 * Throws the reason of an aborted signal. Called between two steps of long work.
 * @throws InterruptedError after Ctrl-C or SIGTERM
 */
export function throwIfAborted(signal: AbortSignal): void {
  if (!signal.aborted) return;
  throw signal.reason instanceof Error ? signal.reason : new InterruptedError('interrupted');
}
