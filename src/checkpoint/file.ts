import { open, readdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { IoError, ModelError } from '../errors.ts';
import { checkedTarget } from './source.ts';
import type { ByteSource, ModelFolder } from './source.ts';

/** What tells one state of a file from another. */
interface Identity {
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/** Reads a file by positioned reads. A file that is replaced or written to in between is noticed, never mixed. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #opened: Identity;

  private constructor(path: string, handle: FileHandle, opened: Identity) {
    this.name = path;
    this.#handle = handle;
    this.#opened = opened;
  }

  /**
   * @returns undefined where no file of that name exists
   * @throws ModelError where the path is a folder, IoError where it cannot be opened
   */
  static async open(path: string): Promise<FileSource | undefined> {
    let handle: FileHandle | undefined;
    try {
      // Before it is opened: opening a FIFO waits for whoever writes to it.
      const found = await stat(path);
      if (!found.isFile())
        throw new ModelError(`${path} is ${found.isDirectory() ? 'a folder' : 'not a regular file'}`);
      handle = await open(path, 'r');
      const opened = await handle.stat({ bigint: true });
      return new FileSource(path, handle, opened);
    } catch (cause) {
      await handle?.close();
      if (cause instanceof ModelError) throw cause;
      if (isAbsent(cause)) return undefined;
      throw cannotRead(path, cause);
    }
  }

  async size(): Promise<number> {
    return Number(this.#opened.size);
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const target = checkedTarget(this, Number(this.#opened.size), offset, length, into);
    let done = 0;
    try {
      while (done < length) {
        const { bytesRead } = await this.#handle.read(target, done, length - done, offset + done);
        if (bytesRead === 0) throw this.#changed();
        done += bytesRead;
      }
    } catch (cause) {
      throw cause instanceof ModelError ? cause : cannotRead(this.name, cause);
    }
    await this.#checkUnchanged();
    return target;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /** The open handle shows a file written in place; the path shows one that was replaced by another. */
  async #checkUnchanged(): Promise<void> {
    const then = this.#opened;
    let states: Identity[];
    try {
      states = await Promise.all([this.#handle.stat({ bigint: true }), stat(this.name, { bigint: true })]);
    } catch (cause) {
      throw isAbsent(cause) ? this.#changed() : cannotRead(this.name, cause);
    }
    for (const now of states) {
      if (now.ino !== then.ino || now.size !== then.size || now.mtimeNs !== then.mtimeNs) throw this.#changed();
    }
  }

  #changed(): ModelError {
    return new ModelError(`${this.name} changed while it was read`, {
      hint: 'Wait until whatever writes it (a download, a copy) has finished, and run again.',
    });
  }
}

/**
 * A model folder on disk.
 * @throws ModelError where there is no such folder, IoError where it cannot be read
 */
export async function fileFolder(path: string): Promise<ModelFolder> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (cause) {
    if (!isAbsent(cause)) throw cannotRead(path, cause);
    throw new ModelError(`no model folder ${path}`, {
      hint: 'A model folder holds config.json, the vocabulary and model.safetensors (or its shards and their index).',
    });
  }
  if (!isFolder) {
    throw new ModelError(`${path} is a file, where a model folder is needed`, {
      hint: 'Give the folder that holds config.json, the vocabulary and model.safetensors.',
    });
  }
  return {
    name: path,
    open: (fileName) => FileSource.open(join(path, fileName)),
    list: async () => {
      try {
        return await readdir(path);
      } catch (cause) {
        throw cannotRead(path, cause);
      }
    },
  };
}

function isAbsent(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function cannotRead(path: string, cause: unknown): IoError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    return new IoError(`no permission to read ${path}`, { hint: 'Check who may read it.', cause });
  }
  return new IoError(`cannot read ${path} (${code ?? String(cause)})`, { cause });
}
