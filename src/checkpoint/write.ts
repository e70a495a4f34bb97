import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { IoError, UsageError } from '../errors.ts';
import { temporaryBeside } from '../temporary.ts';
import { quoted } from './json.ts';

type Elements = Float32Array | Int32Array;

/** One tensor to be written. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: 'F32' | 'I32';
  /** Row-major; [] for a scalar. */
  readonly shape: readonly number[];
  /** All elements, or chunks of them in order, made as they are written. */
  readonly data: Elements | Iterable<Elements> | AsyncIterable<Elements>;
}

/**
 * Writes a safetensors file, tensor by tensor, under a temporary name beside `path` that is renamed when it is complete:
 * whatever goes wrong, `path` holds what it held before.
 * @throws IoError where the disk refuses; UsageError where an entry's data does not match its shape; and whatever the
 * iterator of an entry throws
 */
export async function writeSafetensors(path: string, entries: readonly TensorEntry[]): Promise<void> {
  const header = buildHeader(entries);
  const temporary = await temporaryBeside(path);
  let handle: FileHandle | undefined;
  try {
    handle = await onDisk(path, open(temporary.path, 'wx'));
    await writeAll(path, handle, header);
    for (const entry of entries) {
      let written = 0;
      for await (const chunk of chunksOf(entry.data)) {
        checkChunk(entry, chunk);
        await writeAll(path, handle, new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
        written += chunk.length;
      }
      if (written !== elementCount(entry)) {
        throw new UsageError(
          `tensor ${quoted(entry.name)} of shape [${entry.shape.join(', ')}] was given ${written} elements`,
        );
      }
    }
    // Renamed before its bytes are on the disk, a file could be empty after a power cut.
    await onDisk(path, handle.sync());
    await onDisk(path, handle.close());
    await onDisk(path, temporary.moveTo(path));
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await temporary.remove().catch(() => undefined);
    throw error;
  }
}

/** Length and header, padded with spaces so that the data begins at a multiple of 8 bytes. */
function buildHeader(entries: readonly TensorEntry[]): Uint8Array {
  const fields = new Map<string, { dtype: string; shape: readonly number[]; data_offsets: [number, number] }>();
  let end = 0;
  for (const entry of entries) {
    if (fields.has(entry.name) || entry.name === '__metadata__') {
      throw new UsageError(`tensor name ${quoted(entry.name)} is taken already`);
    }
    const begin = end;
    end += 4 * elementCount(entry);
    fields.set(entry.name, { dtype: entry.dtype, shape: entry.shape, data_offsets: [begin, end] });
  }
  // Not Object.fromEntries: it would put names such as "7" before all others.
  const members = Array.from(fields, ([name, field]) => `${JSON.stringify(name)}:${JSON.stringify(field)}`);
  const json = new TextEncoder().encode(`{${members.join(',')}}`);
  const header = new Uint8Array(8 + Math.ceil(json.byteLength / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.byteLength - 8), true);
  header.set(json, 8);
  return header;
}

function elementCount(entry: TensorEntry): number {
  return entry.shape.reduce((product, size) => product * size, 1);
}

function chunksOf(data: TensorEntry['data']): Iterable<Elements> | AsyncIterable<Elements> {
  return ArrayBuffer.isView(data) ? [data] : data;
}

function checkChunk(entry: TensorEntry, chunk: Elements): void {
  if (chunk instanceof Float32Array !== (entry.dtype === 'F32')) {
    throw new UsageError(`tensor ${quoted(entry.name)} is ${entry.dtype}, but its data is a ${chunk.constructor.name}`);
  }
}

async function writeAll(path: string, handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await onDisk(path, handle.write(bytes, done));
    done += bytesWritten;
  }
}

async function onDisk<T>(path: string, operation: Promise<T>): Promise<T> {
  try {
    return await operation;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why: Record<string, string> = {
      ENOSPC: 'the disk is full',
      EDQUOT: 'the disk quota is used up',
      EACCES: 'no permission',
      EPERM: 'no permission',
      EROFS: 'the file system is read-only',
      ENOENT: 'its folder does not exist',
      ENOTDIR: 'its folder is a file',
      EISDIR: 'it is a folder',
    };
    throw new IoError(`cannot write ${path}: ${why[code ?? ''] ?? code ?? String(cause)}`, { cause });
  }
}
