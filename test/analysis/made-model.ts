import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileOf } from '../checkpoint/support.ts';

/** What test/fixtures/analysis/record.py makes a model of: no weight is stored, both sides make them from a hash. */
export interface MadeModel {
  /** As safetensors names it. */
  readonly dtype: 'F32' | 'F64' | 'F16' | 'BF16';
  /** Before every name of a tensor: `bert.` or nothing. */
  readonly prefix: string;
  /** Whether the vectors of LayerNorm are called gamma and beta. */
  readonly gamma: boolean;
  readonly cased: boolean;
  /** Encoder layers that have weights. */
  readonly layer: number;
  readonly config: MadeConfig;
}

export interface MadeConfig {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly vocab_size: number;
  readonly max_position_embeddings: number;
  readonly type_vocab_size: number;
}

/** Murmur3's finalizer: 32 bits that look random, of each index. */
export function mix(index: number): number {
  let h = index >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** FNV-1a. */
function nameHash(name: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

/** Multiples of a power of two with 8 bits: float64, float32, float16 and bfloat16 all hold them exactly. */
function madeWeight(name: string, shape: readonly number[]): Float64Array {
  const start = nameHash(name);
  const weights = new Float64Array(shape.reduce((product, extent) => product * extent, 1));
  const isGain = name.endsWith('LayerNorm.weight');
  const matrix = name.includes('embeddings') ? 128 : (shape.at(-1) as number) >= 256 ? 2048 : 512;
  const divisor = name.endsWith('bias') ? 512 : matrix;
  for (let i = 0; i < weights.length; i++) {
    const h = (mix(i + start) >>> 24) - 128;
    weights[i] = isGain ? 1 + Math.floor(h / 2) / 128 : h / divisor;
  }
  return weights;
}

type Shapes = Map<string, readonly number[]>;

/** The tensors of the embeddings (part 0), or of one encoder layer from 1, by the names of transformers' BertModel. */
function shapesOf(part: number, config: MadeConfig): Shapes {
  const { hidden_size: H, intermediate_size: I } = config;
  const shapes: Shapes = new Map();
  const dense = (name: string, rows: number, columns: number): void => {
    shapes.set(`${name}.weight`, [rows, columns]).set(`${name}.bias`, [rows]);
  };
  const layerNorm = (name: string): void => {
    shapes.set(`${name}.LayerNorm.weight`, [H]).set(`${name}.LayerNorm.bias`, [H]);
  };
  if (part === 0) {
    shapes.set('embeddings.word_embeddings.weight', [config.vocab_size, H]);
    shapes.set('embeddings.position_embeddings.weight', [config.max_position_embeddings, H]);
    shapes.set('embeddings.token_type_embeddings.weight', [config.type_vocab_size, H]);
    layerNorm('embeddings');
    return shapes;
  }
  const layer = `encoder.layer.${part - 1}`;
  for (const name of ['query', 'key', 'value']) dense(`${layer}.attention.self.${name}`, H, H);
  dense(`${layer}.attention.output.dense`, H, H);
  layerNorm(`${layer}.attention.output`);
  dense(`${layer}.intermediate.dense`, I, H);
  dense(`${layer}.output.dense`, H, I);
  layerNorm(`${layer}.output`);
  return shapes;
}

/**
 * Writes a model folder in Hugging Face's layout: one file of weights, config.json, vocab.txt, tokenizer_config.json.
 * @param change may spoil weights before they are written
 */
export async function writeModel(
  folder: string,
  model: MadeModel,
  vocabulary: readonly string[],
  change: (name: string, weights: Float64Array) => void = () => {},
): Promise<string> {
  const parts = Array.from({ length: model.layer + 1 }, (_, part) => [...shapesOf(part, model.config)]);
  const shapes = new Map(parts.flat());
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'model.safetensors'), safetensors(model, shapes, change));
  await writeRest(folder, model, vocabulary);
  return folder;
}

/** The same in shards: the embeddings, then one for each layer. */
export async function writeShardedModel(
  folder: string,
  model: MadeModel,
  vocabulary: readonly string[],
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const weightMap: Record<string, string> = {};
  for (let shard = 0; shard <= model.layer; shard++) {
    const shapes = shapesOf(shard, model.config);
    const file = shardName(shard);
    for (const name of shapes.keys()) weightMap[storedName(name, model)] = file;
    await writeFile(join(folder, file), safetensors(model, shapes));
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  await writeRest(folder, model, vocabulary);
  return folder;
}

export function shardName(shard: number): string {
  return `shard-${shard}.safetensors`;
}

async function writeRest(folder: string, model: MadeModel, vocabulary: readonly string[]): Promise<void> {
  await writeFile(join(folder, 'config.json'), JSON.stringify(model.config));
  await writeFile(join(folder, 'vocab.txt'), `${vocabulary.join('\n')}\n`);
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify({ do_lower_case: !model.cased }));
}

function storedName(name: string, { prefix, gamma }: MadeModel): string {
  const old = name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta');
  return prefix + (gamma ? old : name);
}

function safetensors(
  model: MadeModel,
  shapes: Shapes,
  change: (name: string, weights: Float64Array) => void = () => {},
): Uint8Array {
  const header: Record<string, unknown> = {};
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, shape] of shapes) {
    const weights = madeWeight(name, shape);
    change(name, weights);
    const bytes = encode(weights, model.dtype);
    header[storedName(name, model)] = { dtype: model.dtype, shape, data_offsets: [at, at + bytes.byteLength] };
    parts.push(bytes);
    at += bytes.byteLength;
  }
  return fileOf(header, Buffer.concat(parts));
}

function encode(values: Float64Array, dtype: MadeModel['dtype']): Uint8Array {
  const bytes = (array: Float64Array | Float32Array | Uint16Array): Uint8Array =>
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  if (dtype === 'F64') return bytes(values);
  const floats = new Float32Array(values);
  if (dtype === 'F32') return bytes(floats);
  const words = new Uint32Array(floats.buffer);
  return bytes(Uint16Array.from(words, dtype === 'BF16' ? (word) => word >>> 16 : float16Bits));
}

/** Of a float32 that a normal float16 holds exactly, or 0. */
function float16Bits(word: number): number {
  if ((word & 0x7fffffff) === 0) return 0;
  return ((word >>> 16) & 0x8000) | ((((word >>> 23) & 255) - 112) << 10) | ((word >>> 13) & 1023);
}
