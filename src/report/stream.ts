import type { Writable } from 'node:stream';
import { getSystemErrorMap } from 'node:util';
import { IoError } from '../errors.ts';

/** Standard output or standard error: `isTTY` and `columns` where a person reads it. */
export type TextStream = Writable & { isTTY?: boolean; columns?: number };

/** The reader of standard output has gone, as `head` does when it has seen enough. That is no failure: exit 0, quietly. */
export class BrokenPipe extends Error {
  override readonly name = 'BrokenPipe';
}

/**
 * Writes `text` and waits until the stream has taken it, so that a slow reader holds the work back instead of filling memory.
 * @throws BrokenPipe where the reader has gone, IoError where the disk behind the stream refuses
 */
export function send(stream: TextStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (!error) resolve();
      else reject(streamFailure(stream.errored ?? error, 'standard output'));
    });
  });
}

/** The error that a failed write to a stream stands for. */
export function streamFailure(error: Error, name: string): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED')
    return new BrokenPipe('the reader of standard output has gone');
  return new IoError(`cannot write to ${name}: ${systemReason(error)}`, { cause: error });
}

/** What the operating system says of a failed call, in words and without the call: `no space left on device`. */
export function systemReason(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? message;
}
