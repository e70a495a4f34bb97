/**
 * The weights as the peer's graph wants them: float32, matrices transposed to [in][out].
 * A minimal reader on purpose: the peer's numbers must not pass through the reader that they are compared with.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A tensor widened to float32, row-major. */
export interface Weight {
  shape: number[];
  data: Float32Array;
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** The 65,536 values of float16, by their bits. */
const float16 = Float32Array.from({ length: 65536 }, (_, bits) => {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >> 15 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
});

/** Opens a model folder in Hugging Face's layout with float16 or float32 tensors. A shard is read when a tensor of it is asked for. */
export function openWeights(folder: string): (name: string) => Weight {
  const index = JSON.parse(readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8'));
  const shards = new Map<string, { header: Header; bytes: Buffer }>();
  return (name) => {
    const file: string | undefined = index.weight_map[name];
    if (file === undefined) throw new Error(`no tensor ${name} in ${folder}`);
    const shard = shards.get(file) ?? readShard(join(folder, file));
    shards.set(file, shard);
    const entry = shard.header[name];
    if (entry === undefined) throw new Error(`the index says ${name} is in ${file}; its header does not`);
    const [begin, end] = entry.data_offsets;
    const raw = Uint8Array.from(shard.bytes.subarray(begin, end)).buffer;
    if (entry.dtype === 'F32') return { shape: entry.shape, data: new Float32Array(raw) };
    if (entry.dtype !== 'F16') throw new Error(`${name} is ${entry.dtype}; the benchmark reads F16 and F32`);
    return { shape: entry.shape, data: Float32Array.from(new Uint16Array(raw), (bits) => float16[bits]) };
  };
}

function readShard(path: string): { header: Header; bytes: Buffer } {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  return { header: JSON.parse(file.toString('utf8', 8, 8 + length)), bytes: file.subarray(8 + length) };
}

/** [out][in] → [in][out]; several matrices of one width are put side by side: [in][out₀ + out₁ + …]. */
export function transposed(...parts: Weight[]): Weight {
  const inputs = parts[0].shape[1];
  const columns = parts.reduce((sum, part) => sum + part.shape[0], 0);
  const data = new Float32Array(inputs * columns);
  let column = 0;
  for (const part of parts) {
    for (let out = 0; out < part.shape[0]; out++, column++) {
      for (let i = 0; i < inputs; i++) data[i * columns + column] = part.data[out * inputs + i];
    }
  }
  return { shape: [inputs, columns], data };
}

/** Vectors end to end. */
export function concatenated(...parts: Weight[]): Weight {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { shape: [data.length], data };
}

/** [heads·D][…] → [heads·(D + extra)][…]: so many rows of zeros after the rows of each head. */
export function widerHeads({ shape, data }: Weight, heads: number, extra: number): Weight {
  const width = data.length / shape[0];
  const head = data.length / heads;
  const wider = new Float32Array(data.length + heads * extra * width);
  for (let a = 0; a < heads; a++) wider.set(data.subarray(a * head, (a + 1) * head), a * (head + extra * width));
  return { shape: [shape[0] + heads * extra, ...shape.slice(1)], data: wider };
}
