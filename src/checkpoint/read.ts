import { ModelError } from '../errors.ts';
import type { TensorRef } from './checkpoint.ts';
import { DTYPE_BITS, weightDtype, widenToF32 } from './dtypes.ts';
import { quoted } from './json.ts';

/** 2¹⁸ elements are 1 MiB of float32: enough for the disk, nothing beside the model. */
const CHUNK_ELEMENTS = 1 << 18;
const CHUNK_BYTES = 1 << 20;

/**
 * Reads a tensor as float32, chunk by chunk, widened exactly (F64: rounded to nearest).
 * @param sink takes each chunk, with the index of its first element; the array is used again for the next one
 * @throws ModelError where it is of a dtype that weights are not taken from
 */
export async function readF32(
  tensor: TensorRef,
  sink: (chunk: Float32Array<ArrayBuffer>, elementOffset: number) => void | Promise<void>,
  chunkElements = CHUNK_ELEMENTS,
): Promise<void> {
  const dtype = weightDtype(tensor);
  const elementBytes = DTYPE_BITS[dtype] / 8;
  const most = Math.min(chunkElements, tensor.byteLength / elementBytes);
  const widened = new Float32Array(most);
  await readRaw(
    tensor,
    async (bytes, byteOffset) => {
      const count = bytes.byteLength / elementBytes;
      widenToF32(dtype, bytes, widened, count);
      await sink(widened.subarray(0, count), byteOffset / elementBytes);
    },
    most * elementBytes,
  );
}

/**
 * Reads a tensor's bytes as they lie in the file (little-endian), chunk by chunk, the next one while the sink has this one.
 * @param sink takes each chunk, with the offset of its first byte; the array is used again for the one after the next
 * @param into bytes a chunk, or two arrays of that size to read into: whoever reads many tensors need not leave some behind each
 */
export async function readRaw(
  tensor: TensorRef,
  sink: (chunk: Uint8Array<ArrayBuffer>, byteOffset: number) => void | Promise<void>,
  into: number | ChunkPair = CHUNK_BYTES,
): Promise<void> {
  const { byteLength } = tensor;
  let [chunk, other] = typeof into === 'number' ? chunkPair(Math.min(into, byteLength), byteLength) : into;
  const read = (offset: number, target: Uint8Array): Promise<Uint8Array> | undefined => {
    if (offset >= byteLength) return undefined;
    const reading = tensor.read(offset, Math.min(target.byteLength, byteLength - offset), target);
    reading.catch(() => {}); // it may fail before the sink is done and anybody waits
    return reading;
  };
  let reading = read(0, chunk);
  try {
    for (let offset = 0; reading; offset += chunk.byteLength) {
      await reading;
      reading = read(offset + chunk.byteLength, other);
      await sink(chunk.subarray(0, Math.min(chunk.byteLength, byteLength - offset)), offset);
      [chunk, other] = [other, chunk];
    }
  } finally {
    // Where the sink failed: nothing is under way any more when the file is closed.
    await reading?.catch(() => {});
  }
}

/** Two arrays of one size. */
export type ChunkPair = readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];

/** Two arrays of `size` bytes, the second empty where `total` has no second chunk. */
function chunkPair(size: number, total: number): ChunkPair {
  return [new Uint8Array(size), new Uint8Array(total > size ? size : 0)];
}

/** A whole tensor as float32: for tensors that are small, or are compared element by element. */
export async function readAllF32(tensor: TensorRef): Promise<Float32Array<ArrayBuffer>> {
  const whole = new Float32Array(tensor.shape.reduce((product, size) => product * size, 1));
  await readF32(tensor, (chunk, offset) => whole.set(chunk, offset));
  return whole;
}

/**
 * A whole tensor of I32.
 * @throws ModelError where it is of another dtype
 */
export async function readAllI32(tensor: TensorRef): Promise<Int32Array<ArrayBuffer>> {
  if (tensor.dtype !== 'I32') {
    throw new ModelError(`tensor ${quoted(tensor.name)} of ${tensor.file} is ${tensor.dtype}, where I32 is needed`);
  }
  const bytes = await tensor.read(0, tensor.byteLength, new Uint8Array(tensor.byteLength));
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Int32Array.from({ length: tensor.byteLength / 4 }, (_, i) => view.getInt32(4 * i, true));
}
