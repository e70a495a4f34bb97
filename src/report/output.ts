import type { FileHandle } from 'node:fs/promises';
import { open, realpath, stat } from 'node:fs/promises';
import { IoError } from '../errors.ts';
import type { Temporary } from '../temporary.ts';
import { temporaryBeside } from '../temporary.ts';
import type { TextStream } from './stream.ts';
import { send, systemReason } from './stream.ts';

/** Where results go. */
export interface Output {
  write(text: string): Promise<void>;
  /** Everything is written: makes the result visible. */
  commit(): Promise<void>;
  /** Something failed: leaves nothing behind. After `commit` it does nothing. */
  discard(): Promise<void>;
}

/** Small writes are gathered up to this many UTF-16 code units. */
const CHUNK = 1 << 16;

/** Gathers small writes; `flush` sends what is left. */
export class Gathered {
  #parts: string[] = [];
  #length = 0;
  readonly #write: (text: string) => Promise<void>;

  constructor(write: (text: string) => Promise<void>) {
    this.#write = write;
  }

  async add(text: string): Promise<void> {
    this.#parts.push(text);
    this.#length += text.length;
    if (this.#length >= CHUNK) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#length === 0) return;
    const text = this.#parts.join('');
    this.#parts = [];
    this.#length = 0;
    await this.#write(text);
  }
}

/** Results to a stream, at the pace of its reader. What was written cannot be taken back. */
export function streamOutput(stream: TextStream): Output {
  return {
    write: (text) => send(stream, text),
    commit: async () => undefined,
    discard: async () => undefined,
  };
}

/**
 * A file that appears complete or not at all: written under a temporary name beside it, renamed by `commit`. A link is
 * followed, and what is no plain file (a pipe, /dev/null) is written as it is, since a rename would put a file in its place.
 * @throws IoError where the folder is missing or may not be written, or the path is a folder
 */
export async function fileOutput(path: string): Promise<Output> {
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory()) throw writeFailure(path, 'it is a folder');
  if (there !== undefined && !there.isFile()) return openInto(path, await onDisk(path, open(path, 'w')));

  const target = there === undefined ? path : await onDisk(path, realpath(path));
  const temporary = await temporaryBeside(target);
  const handle = await onDisk(path, open(temporary.path, 'wx', there === undefined ? 0o666 : there.mode & 0o777));
  return openInto(path, handle, { temporary, target });
}

function openInto(path: string, handle: FileHandle, renaming?: { temporary: Temporary; target: string }): Output {
  let done = false;
  return {
    async write(text) {
      const bytes = Buffer.from(text, 'utf8');
      await onDisk(path, writeAll(handle, bytes));
    },
    async commit() {
      // Renamed before its bytes are on the disk, a file could be empty after a power cut. A pipe has no disk.
      if (renaming !== undefined) await onDisk(path, handle.sync());
      await onDisk(path, handle.close());
      if (renaming !== undefined) await onDisk(path, renaming.temporary.moveTo(renaming.target));
      done = true;
    },
    async discard() {
      if (done) return;
      done = true;
      await handle.close().catch(() => undefined);
      await renaming?.temporary.remove();
    },
  };
}

/** Writes all of `bytes`, which a full disk may take in parts. At `position`, else behind what was written before. */
export async function writeAll(handle: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const at = position === undefined ? null : position + done;
    done += (await handle.write(bytes, done, bytes.byteLength - done, at)).bytesWritten;
  }
}

/** Awaits a file operation; what fails is an error that names `path`. */
export async function onDisk<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (cause) {
    throw writeFailure(path, systemReason(cause), cause);
  }
}

/** @returns the error of a file that cannot be written */
export function writeFailure(path: string, reason: string, cause?: unknown): IoError {
  return new IoError(`cannot write ${path}: ${reason}`, {
    hint: 'Free some space, or name a file in a folder that can be written.',
    cause,
  });
}
