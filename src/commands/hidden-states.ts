import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { TensorEntry } from '../checkpoint/write.ts';
import { writeSafetensors } from '../checkpoint/write.ts';
import { onDisk, writeAll, writeFailure } from '../report/output.ts';
import type { Temporary } from '../temporary.ts';
import { temporaryBeside } from '../temporary.ts';
import { throwIfAborted } from './io.ts';

const CHUNK_FLOATS = 1 << 18;

/**
 * Hidden states on their way to a safetensors file. The format begins with the sizes of all tensors, known only at the end
 * of a stream; so the states go to a temporary file beside it, and from there behind their header. Memory holds about 150
 * bytes a sequence.
 */
export class HiddenStatesFile {
  readonly #path: string;
  readonly #temporary: Temporary;
  readonly #spool: FileHandle;
  readonly #signal: AbortSignal;
  readonly #tensors: { name: string; shape: readonly number[]; offset: number; floats: number }[] = [];
  #end = 0;

  private constructor(path: string, temporary: Temporary, spool: FileHandle, signal: AbortSignal) {
    this.#path = path;
    this.#temporary = temporary;
    this.#spool = spool;
    this.#signal = signal;
  }

  /** @throws IoError where a file cannot be made beside `path` */
  static async create(path: string, signal: AbortSignal): Promise<HiddenStatesFile> {
    const temporary = await temporaryBeside(path);
    const spool = await onDisk(path, open(temporary.path, 'wx+'));
    return new HiddenStatesFile(path, temporary, spool, signal);
  }

  /** Appends the states [T, H] of one sequence as `ID.hidden_states.L`. */
  async add(id: string, layer: number, states: Float32Array, shape: readonly number[]): Promise<void> {
    const bytes = new Uint8Array(states.buffer, states.byteOffset, states.byteLength);
    this.#tensors.push({
      name: `${id}.hidden_states.${layer}`,
      shape: [...shape],
      offset: this.#end,
      floats: states.length,
    });
    await onDisk(this.#path, writeAll(this.#spool, bytes, this.#end));
    this.#end += bytes.byteLength;
  }

  /** Writes the file, whole or not at all. */
  async commit(): Promise<void> {
    const entries = this.#tensors.map(({ name, shape, offset, floats }): TensorEntry => ({
      name,
      dtype: 'F32',
      shape,
      data: this.#read(offset, floats),
    }));
    await writeSafetensors(this.#path, entries);
  }

  /** Removes the temporary file; after `commit` too. */
  async close(): Promise<void> {
    await this.#spool.close().catch(() => undefined);
    await this.#temporary.remove();
  }

  async *#read(offset: number, floats: number): AsyncGenerator<Float32Array> {
    for (let done = 0; done < floats;) {
      throwIfAborted(this.#signal);
      const chunk = new Float32Array(Math.min(CHUNK_FLOATS, floats - done));
      const bytes = new Uint8Array(chunk.buffer);
      for (let read = 0; read < bytes.byteLength;) {
        const { bytesRead } = await this.#spool.read(bytes, read, bytes.byteLength - read, offset + 4 * done + read);
        if (bytesRead === 0) throw writeFailure(this.#path, 'its temporary file was cut short');
        read += bytesRead;
      }
      yield chunk;
      done += chunk.length;
    }
  }
}
