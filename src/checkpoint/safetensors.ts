import { ModelError, UsageError } from '../errors.ts';
import { DTYPE_BITS, isDtype } from './dtypes.ts';
import type { Dtype } from './dtypes.ts';
import { NEEDS_SAFETENSORS, SIGNATURE_LENGTH, recognizeFormat } from './foreign.ts';
import { JsonReader, quoted } from './json.ts';
import type { ByteSource } from './source.ts';

/** The bound that the format's reference implementation sets. */
const MAX_HEADER_BYTES = 100_000_000;
/** Bytes of the header's length, a little-endian unsigned integer. */
const LENGTH_BYTES = 8;
/** More dimensions than any library has; keeps a hostile header from growing one shape without end. */
const MAX_DIMENSIONS = 255;

/** One tensor of a file: what the header says of it. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  /** Row-major; [] for a scalar. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** The byte after the last. */
  readonly end: number;
}

/** An open safetensors file whose header was checked against every rule of the format. */
export class SafetensorsFile {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #source: ByteSource;

  constructor(source: ByteSource, header: Header) {
    this.name = source.name;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#source = source;
  }

  /**
   * Reads bytes of one tensor.
   * @param offset first byte, counted from the start of the tensor; default 0
   * @param length bytes; default up to the tensor's end
   */
  async read(
    info: TensorInfo,
    offset = 0,
    length = info.end - info.begin - offset,
    into?: Uint8Array,
  ): Promise<Uint8Array> {
    const size = info.end - info.begin;
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
      throw new UsageError(`read of ${length} bytes at ${offset} of tensor ${quoted(info.name)}, which has ${size}`);
    }
    return this.#source.read(info.begin + offset, length, into);
  }

  async close(): Promise<void> {
    await this.#source.close?.();
  }
}

interface Header {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Opens a safetensors file and checks its whole header: afterwards each tensor's shape and dtype account for exactly
 * its bytes, and the tensors together for exactly the file. No byte of a tensor is read.
 * Format: https://github.com/huggingface/safetensors#format
 * @throws ModelError that names the rule broken; or what the file is, where it is no safetensors file
 */
export async function openSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  const fileBytes = await source.size();
  const headerBytes = await readHeaderLength(source, fileBytes);
  const text = decode(source.name, await source.read(LENGTH_BYTES, headerBytes));
  return new SafetensorsFile(source, parseHeader(source.name, text, LENGTH_BYTES + headerBytes, fileBytes));
}

async function readHeaderLength(source: ByteSource, fileBytes: number): Promise<number> {
  if (fileBytes === 0) throw new ModelError(`${source.name} is empty`);
  const head = await source.read(0, Math.min(fileBytes, SIGNATURE_LENGTH));
  const length =
    fileBytes < LENGTH_BYTES ? undefined : new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  const fits = length !== undefined && length <= MAX_HEADER_BYTES && BigInt(LENGTH_BYTES) + length <= fileBytes;
  const startsHeader = head[LENGTH_BYTES] === 0x7b || fileBytes === LENGTH_BYTES;
  if (!fits && !startsHeader) {
    const format = recognizeFormat(head, source.name);
    if (format !== undefined) {
      throw new ModelError(`${source.name} is ${format}, not safetensors`, { hint: NEEDS_SAFETENSORS });
    }
  }
  if (length === undefined) {
    throw new ModelError(`${source.name} has ${fileBytes} bytes; a safetensors file begins with ${LENGTH_BYTES}`);
  }
  if (length > MAX_HEADER_BYTES) {
    throw new ModelError(`${source.name} is no safetensors file: it says that its header has ${length} bytes`, {
      hint: `A header has at most ${MAX_HEADER_BYTES}.`,
    });
  }
  if (!fits) {
    const missing = BigInt(LENGTH_BYTES) + length - BigInt(fileBytes);
    throw new ModelError(`${source.name} is cut off: ${missing} of the ${length} bytes of its header are missing`, {
      hint: 'Download or copy it again.',
    });
  }
  return Number(length);
}

function decode(name: string, bytes: Uint8Array): string {
  if (bytes[0] !== 0x7b) throw new ModelError(`header of ${name} does not begin with "{"`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ModelError(`header of ${name} is not UTF-8`, { cause });
  }
}

function parseHeader(file: string, text: string, dataStart: number, fileBytes: number): Header {
  const json = new JsonReader(text, (problem, position) => {
    throw new ModelError(`header of ${file}: ${problem} (at character ${position})`);
  });
  const tensors = new Map<string, TensorInfo>();
  const metadata = new Map<string, string>();
  json.object((key) => {
    if (key === '__metadata__') json.object((entry) => metadata.set(entry, json.string()));
    else tensors.set(key, parseTensor(json, file, key, dataStart));
  });
  if (/[^ ]/.test(text.slice(json.position))) json.fail('something other than spaces follows the header');
  checkRanges(file, tensors, dataStart, fileBytes);
  return { tensors, metadata };
}

/** Fields that the format does not know are passed over, as the reference implementation does. */
function parseTensor(json: JsonReader, file: string, name: string, dataStart: number): TensorInfo {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let range: number[] | undefined;
  json.object((key) => {
    if (key === 'dtype') dtype = json.string();
    else if (key === 'shape') shape = parseSizes(json, MAX_DIMENSIONS);
    else if (key === 'data_offsets') range = parseSizes(json, 2);
    else json.skip();
  });
  const where = `header of ${file}: tensor ${quoted(name)}`;
  if (dtype === undefined || shape === undefined || range === undefined) {
    throw new ModelError(`${where} lacks dtype, shape or data_offsets`);
  }
  if (!isDtype(dtype)) throw new ModelError(`${where} has the unknown dtype ${quoted(dtype)}`);
  const [begin, end] = range;
  if (begin === undefined || end === undefined || end < begin || !Number.isSafeInteger(dataStart + end)) {
    throw new ModelError(`${where} has data_offsets [${range.join(', ')}], which are no range`);
  }
  const needed = byteLength(dtype, shape);
  if (needed === undefined) {
    throw new ModelError(`${where}, ${dtype} of shape [${shape.join(', ')}], is no whole number of bytes, or too many`);
  }
  if (needed !== end - begin) {
    throw new ModelError(
      `${where}, ${dtype} of shape [${shape.join(', ')}], takes ${needed} bytes; its data_offsets give ${end - begin}`,
    );
  }
  return { name, dtype, shape, begin: dataStart + begin, end: dataStart + end };
}

function parseSizes(json: JsonReader, most: number): number[] {
  const sizes: number[] = [];
  json.array(() => {
    const literal = json.number();
    const size = /^[0-9]+$/.test(literal) ? Number(literal) : NaN;
    if (!Number.isSafeInteger(size)) json.fail(`${quoted(literal)} is no size (a whole number from 0 to 2^53 − 1)`);
    if (sizes.push(size) > most) json.fail(`a list of more than ${most} sizes`);
  });
  return sizes;
}

/** Bytes of a tensor; undefined where they are not whole or do not fit the 53 bits that a number counts exactly. */
function byteLength(dtype: Dtype, shape: readonly number[]): number | undefined {
  if (shape.includes(0)) return 0;
  let bits: number = DTYPE_BITS[dtype];
  for (const size of shape) {
    bits *= size;
    if (!Number.isSafeInteger(bits)) return undefined;
  }
  return bits % 8 === 0 ? bits / 8 : undefined;
}

/** The tensors, in the order of their bytes, have to lie end to end from the header to the end of the file. */
function checkRanges(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  dataStart: number,
  fileBytes: number,
): void {
  let reached = dataStart;
  for (const { name, begin, end } of [...tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== reached) {
      const problem = begin < reached ? 'overlaps the one before it' : 'leaves a hole before it';
      throw new ModelError(
        `header of ${file}: tensor ${quoted(name)} ${problem} (it begins at byte ${begin - dataStart} of the data, ` +
          `not at ${reached - dataStart})`,
      );
    }
    reached = end;
  }
  if (fileBytes < reached) {
    throw new ModelError(`${file} is cut off: ${reached - fileBytes} of its ${reached} bytes are missing`, {
      hint: 'Download or copy it again.',
    });
  }
  if (fileBytes > reached) {
    throw new ModelError(
      `${file} has ${fileBytes - reached} bytes after its last tensor that its header does not know`,
    );
  }
}
