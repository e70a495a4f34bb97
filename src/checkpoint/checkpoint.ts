import { ModelError } from '../errors.ts';
import { weightDtype } from './dtypes.ts';
import type { Dtype, WeightDtype } from './dtypes.ts';
import { NEEDS_SAFETENSORS, formatOfName } from './foreign.ts';
import { quoted } from './json.ts';
import { nearestNames } from './nearest.ts';
import { openSafetensors } from './safetensors.ts';
import type { SafetensorsFile, TensorInfo } from './safetensors.ts';
import { INDEX_FILE, missingShard, readShardIndex } from './shards.ts';
import { CountingSource } from './source.ts';
import type { ByteSource, ModelFolder } from './source.ts';

const SINGLE_FILE = 'model.safetensors';

/** A tensor that can be read, range by range. */
export interface TensorRef<D extends Dtype = Dtype> {
  readonly name: string;
  /** The file it lies in, for messages. */
  readonly file: string;
  readonly dtype: D;
  /** Row-major. */
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Reads exactly `length` bytes from `offset`, counted from the tensor's first byte. */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** One tensor of an open file, as `readF32` and `readRaw` take it. */
export function tensorRef(file: SafetensorsFile, info: TensorInfo): TensorRef {
  return {
    name: info.name,
    file: file.name,
    dtype: info.dtype,
    shape: info.shape,
    byteLength: info.end - info.begin,
    read: (offset, length, into) => file.read(info, offset, length, into),
  };
}

/**
 * Opens the weights of a model folder: `model.safetensors`, or `model.safetensors.index.json` and the files it names.
 * Of several files each is opened when a tensor of it is first asked for, so one that no needed tensor lies in may be
 * absent. Headers are checked; no byte of a tensor is read.
 * @param folder a path, or a folder of another kind (`httpFolder`, `blobFolder`)
 * @throws ModelError, IoError
 */
export async function openCheckpoint(folder: string | ModelFolder): Promise<Checkpoint> {
  const opened = await openFolder(folder);
  const single = await opened.open(SINGLE_FILE);
  if (single !== undefined) return Checkpoint.ofFile(opened, single);
  const index = await opened.open(INDEX_FILE);
  if (index === undefined) throw await noWeights(opened);
  try {
    return new Checkpoint(opened, await readShardIndex(index));
  } finally {
    await index.close?.();
  }
}

/** A folder as it is, or the one on disk that a path names. Node's file system is loaded only for the latter. */
export async function openFolder(folder: string | ModelFolder): Promise<ModelFolder> {
  if (typeof folder !== 'string') return folder;
  const { fileFolder } = await import('./file.ts');
  return fileFolder(folder);
}

/** The weights of one model. Made by `openCheckpoint`. */
export class Checkpoint implements AsyncDisposable {
  readonly name: string;
  readonly #folder: ModelFolder;
  /** File name by tensor name. */
  readonly #shards: ReadonlyMap<string, string>;
  readonly #files = new Map<string, Promise<SafetensorsFile>>();
  readonly #sources = new Map<string, CountingSource>();

  /** @param shards which file of the folder holds which tensor */
  constructor(folder: ModelFolder, shards: ReadonlyMap<string, string>) {
    this.name = folder.name;
    this.#folder = folder;
    this.#shards = shards;
  }

  /** A checkpoint of one file, whose header says what there is. */
  static async ofFile(folder: ModelFolder, source: ByteSource): Promise<Checkpoint> {
    const counting = new CountingSource(source);
    const file = await openOrClose(counting);
    const checkpoint = new Checkpoint(folder, new Map(Array.from(file.tensors.keys(), (name) => [name, SINGLE_FILE])));
    checkpoint.#sources.set(SINGLE_FILE, counting);
    checkpoint.#files.set(SINGLE_FILE, Promise.resolve(file));
    return checkpoint;
  }

  /** Whether the checkpoint has a tensor of that name. Opens nothing. */
  has(name: string): boolean {
    return this.#shards.has(name);
  }

  /** Names of all tensors, those of absent files included. */
  names(): Iterable<string> {
    return this.#shards.keys();
  }

  /** Bytes read so far, headers included, by file name; a file that was never opened is not in it. */
  bytesRead(): ReadonlyMap<string, number> {
    return new Map(Array.from(this.#sources, ([name, source]) => [name, source.bytesRead]));
  }

  /**
   * @returns undefined where the checkpoint has no tensor of that name
   * @throws ModelError where it has one, in a file that is absent, damaged, or lacks it
   */
  async find(name: string): Promise<TensorRef | undefined> {
    const fileName = this.#shards.get(name);
    if (fileName === undefined) return undefined;
    const file = await this.#file(fileName, name);
    const info = file.tensors.get(name);
    if (info === undefined) {
      throw new ModelError(`${file.name} lacks tensor ${quoted(name)}, which ${INDEX_FILE} promises to be in it`, {
        hint: 'The index and the files are not of one model: take all of them from the same place.',
      });
    }
    return tensorRef(file, info);
  }

  /**
   * A tensor that the model cannot do without.
   * @param shape what the config asks for
   * @throws ModelError where it is missing (with the names nearest to it), of another shape, or of a dtype that weights
   * are not taken from
   */
  async need(name: string, shape: readonly number[]): Promise<TensorRef<WeightDtype>> {
    const tensor = await this.find(name);
    if (tensor === undefined) throw this.#missing(name);
    if (tensor.shape.length !== shape.length || tensor.shape.some((size, i) => size !== shape[i])) {
      throw new ModelError(
        `tensor ${quoted(name)} of ${tensor.file} has the shape [${tensor.shape.join(', ')}], where config.json asks ` +
          `for [${shape.join(', ')}]`,
        { hint: 'The config and the weights are not of one model, or the file holds another kind of model.' },
      );
    }
    return { ...tensor, dtype: weightDtype(tensor) };
  }

  /** Closes the files that were opened. */
  async close(): Promise<void> {
    await Promise.all(Array.from(this.#sources.values(), (source) => source.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #file(fileName: string, needed: string): Promise<SafetensorsFile> {
    let file = this.#files.get(fileName);
    if (file === undefined) {
      file = this.#open(fileName, needed);
      this.#files.set(fileName, file);
    }
    return file;
  }

  async #open(fileName: string, needed: string): Promise<SafetensorsFile> {
    const source = await this.#folder.open(fileName);
    if (source === undefined) throw missingShard(this.name, fileName, this.#shards, needed);
    const counting = new CountingSource(source);
    const file = await openOrClose(counting);
    this.#sources.set(fileName, counting);
    return file;
  }

  #missing(name: string): ModelError {
    const near = nearestNames(name, this.#shards.keys());
    return new ModelError(`${this.name} has no tensor ${quoted(name)}`, {
      hint:
        near.length > 0
          ? `The nearest names it has: ${near.map(quoted).join(', ')}.`
          : `Its ${this.#shards.size} tensors have other names: it is a model of another kind.`,
    });
  }
}

async function openOrClose(source: CountingSource): Promise<SafetensorsFile> {
  try {
    return await openSafetensors(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** The error for a folder without safetensors: names weights of another format, where there are some. */
async function noWeights(folder: ModelFolder): Promise<ModelError> {
  const files = (await folder.list?.()) ?? [];
  for (const file of files) {
    const format = formatOfName(file);
    if (format !== undefined) {
      return new ModelError(`${folder.name} has no ${SINGLE_FILE}, only ${file}, which is ${format}`, {
        hint: NEEDS_SAFETENSORS,
      });
    }
  }
  return new ModelError(`${folder.name} has neither ${SINGLE_FILE} nor ${INDEX_FILE}`, {
    hint: 'A model folder holds config.json, the vocabulary and the weights, as Hugging Face lays a model out.',
  });
}
