import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { IoError } from '../errors.ts';
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

/** Temporary files that exist now. A process that must end at once (a second Ctrl-C) removes them on its way out. */
const temporaries = new Set<string>();
process.on('exit', () => {
  for (const path of temporaries) rmSync(path, { force: true });
});

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
  const temporary = temporaryBeside(target);
  const handle = await onDisk(path, open(temporary, 'wx', there === undefined ? 0o666 : there.mode & 0o777));
  temporaries.add(temporary);
  return openInto(path, handle, { temporary, target });
}

/** A name beside `path` that nothing else has. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomUUID()}.partial`);
}

/** Removes a temporary file when it is done with, or when the process ends. */
export function temporaryFile(path: string): { remove: () => Promise<void> } {
  temporaries.add(path);
  return {
    remove: async () => {
      await rm(path, { force: true });
      temporaries.delete(path);
    },
  };
}

function openInto(path: string, handle: FileHandle, renaming?: { temporary: string; target: string }): Output {
  let done = false;
  return {
    async write(text) {
      const bytes = Buffer.from(text, 'utf8');
      for (let written = 0; written < bytes.byteLength;) {
        written += (await onDisk(path, handle.write(bytes, written))).bytesWritten;
      }
    },
    async commit() {
      // Renamed before its bytes are on the disk, a file could be empty after a power cut. A pipe has no disk.
      if (renaming !== undefined) await onDisk(path, handle.sync());
      await onDisk(path, handle.close());
      if (renaming !== undefined) {
        await onDisk(path, rename(renaming.temporary, renaming.target));
        temporaries.delete(renaming.temporary);
      }
      done = true;
    },
    async discard() {
      if (done) return;
      done = true;
      await handle.close().catch(() => undefined);
      if (renaming === undefined) return;
      await rm(renaming.temporary, { force: true });
      temporaries.delete(renaming.temporary);
    },
  };
}

async function onDisk<T>(path: string, operation: Promise<T>): Promise<T> {
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
