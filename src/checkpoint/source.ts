import { ModelError, UsageError } from '../errors.ts';

/**
 * Where bytes come from: a file on disk (file.ts), a Blob, or ranges over HTTP (http.ts). Whoever reads a checkpoint
 * asks for exactly the ranges it needs; nothing ever holds a whole file.
 */
export interface ByteSource {
  /** What error messages call it: a path, a file name, or a URL. */
  readonly name: string;
  /** Size in bytes. */
  size(): Promise<number>;
  /**
   * Reads exactly `length` bytes from `offset`, or throws.
   * @param into where the bytes go (its first `length` bytes); a new array when absent
   * @returns the `length` bytes read, a view of `into` when that was given
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  close?(): Promise<void>;
}

/** A folder of model files, wherever it lies: on disk, behind a URL, or picked in a page. */
export interface ModelFolder {
  /** What error messages call it. */
  readonly name: string;
  /** Opens one file of the folder by its plain name; undefined where there is none. */
  open(fileName: string): Promise<ByteSource | undefined>;
  /** File names in the folder, where they can be listed. */
  list?(): Promise<string[]>;
}

/** The first `length` bytes of `into`, or a new array; a range outside of the source is refused before it is read. */
export function checkedTarget(
  source: { readonly name: string },
  size: number,
  offset: number,
  length: number,
  into: Uint8Array | undefined,
): Uint8Array {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new UsageError(`read of ${length} bytes at ${offset} from ${source.name}: not a range`);
  }
  if (offset + length > size) {
    throw new ModelError(`read past the end of ${source.name}: bytes ${offset} to ${offset + length} of ${size}`, {
      hint: 'The file is cut off, or it was changed while it was read.',
    });
  }
  if (into !== undefined && into.byteLength < length) {
    throw new UsageError(`read of ${length} bytes from ${source.name} into an array of ${into.byteLength}`);
  }
  return into === undefined ? new Uint8Array(length) : into.subarray(0, length);
}

/** Bytes of a Blob or File, as a page gets them from a file picker. */
export class BlobSource implements ByteSource {
  readonly name: string;
  readonly #blob: Blob;

  constructor(blob: Blob, name: string) {
    this.#blob = blob;
    this.name = name;
  }

  async size(): Promise<number> {
    return this.#blob.size;
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const target = checkedTarget(this, this.#blob.size, offset, length, into);
    try {
      target.set(new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer()));
    } catch (cause) {
      // A browser refuses to read a picked file whose content changed on disk (NotReadableError).
      throw new ModelError(`cannot read ${this.name}: the file was changed, moved or removed since it was picked`, {
        hint: 'Pick the file again.',
        cause,
      });
    }
    return target;
  }
}

/** A model folder made of Blobs by file name. */
export function blobFolder(blobs: ReadonlyMap<string, Blob>, name = 'the picked files'): ModelFolder {
  return {
    name,
    open: async (fileName) => {
      const blob = blobs.get(fileName);
      return blob === undefined ? undefined : new BlobSource(blob, fileName);
    },
    list: async () => [...blobs.keys()],
  };
}

/** Counts what is read through it: how the tests hold that halting at layer l reads no weight of a later layer. */
export class CountingSource implements ByteSource {
  readonly name: string;
  bytesRead = 0;
  readonly #source: ByteSource;

  constructor(source: ByteSource) {
    this.name = source.name;
    this.#source = source;
  }

  size(): Promise<number> {
    return this.#source.size();
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const bytes = await this.#source.read(offset, length, into);
    this.bytesRead += bytes.byteLength;
    return bytes;
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

/**
 * A small file read whole, as text.
 * @throws ModelError where it is over `limit` bytes or not UTF-8
 */
export async function readText(source: ByteSource, limit: number): Promise<string> {
  const size = await source.size();
  if (size > limit) {
    throw new ModelError(`${source.name} has ${size} bytes; a file of its kind has at most ${limit}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await source.read(0, size));
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw new ModelError(`${source.name} is not UTF-8 text`, { cause });
  }
}
