import type { WeightDtype } from '../checkpoint/dtypes.ts';
import { blobFolder } from '../checkpoint/source.ts';
import type { ModelFolder } from '../checkpoint/source.ts';
import type { BertConfig } from './config.ts';
import { bertNames } from './names.ts';
import type { PairNames } from './names.ts';

const BYTES: Record<WeightDtype, number> = { F16: 2, BF16: 2, F32: 4, F64: 8 };

/** A model of one layer and two heads with the model's head size, activation and ε: its kernels on a small case. */
export function smallConfig(model: BertConfig): BertConfig {
  const hiddenSize = 2 * model.headSize;
  const small = { hiddenSize, numAttentionHeads: 2, intermediateSize: 3 * hiddenSize, numHiddenLayers: 1 };
  return { ...model, ...small, name: 'a random model', vocabSize: 29, maxPositionEmbeddings: 24, typeVocabSize: 1 };
}

/**
 * A checkpoint of one safetensors file in memory with pseudo-random weights. All of them have eight significant bits, so every
 * dtype holds the same numbers exactly; float16 has some denormals among them, which a driver must not flush.
 */
export function randomCheckpoint(config: BertConfig, dtype: WeightDtype): ModelFolder {
  const header: Record<string, unknown> = {};
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let offset = 0;
  const random = randomIntegers();
  const put = (name: string, shape: readonly number[], around: number, scale: number, odd = scale): void => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const bytes = encode(
      dtype,
      Array.from({ length: count }, (_, i) => around + random() * (i % 2 === 0 ? scale : odd)),
    );
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.byteLength] };
    parts.push(bytes);
    offset += bytes.byteLength;
  };
  const { hiddenSize: H, intermediateSize: I, vocabSize, maxPositionEmbeddings, typeVocabSize } = config;
  const dense = ({ weight, bias }: PairNames, N: number, K: number): void => {
    put(weight, [N, K], 0, 2 ** -10);
    put(bias, [N], 0, 2 ** -24);
  };
  const layerNorm = ({ weight, bias }: PairNames): void => {
    put(weight, [H], 1, 2 ** -7);
    put(bias, [H], 0, 2 ** -9);
  };
  const { embeddings, layer } = bertNames({ has: () => false });
  put(embeddings.word, [vocabSize, H], 0, 2 ** -11);
  put(embeddings.position, [maxPositionEmbeddings, H], 0, 2 ** -12);
  put(embeddings.tokenType, [typeVocabSize, H], 0, 2 ** -24);
  layerNorm(embeddings.layerNorm);
  const names = layer(0);
  for (const one of [names.query, names.key, names.value, names.attentionOutput]) dense(one, H, H);
  layerNorm(names.attentionLayerNorm);
  // Every second weight is a denormal of float16: flushed to 0 they would be missed.
  put(names.intermediate.weight, [I, H], 0, 2 ** -10, 2 ** -24);
  put(names.intermediate.bias, [I], 0, 2 ** -24);
  dense(names.output, H, I);
  layerNorm(names.outputLayerNorm);

  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new DataView(new ArrayBuffer(8));
  length.setBigUint64(0, BigInt(text.byteLength), true);
  return blobFolder(new Map([['model.safetensors', new Blob([length, text, ...parts])]]), config.name);
}

/** Integers from −127 to 127, the same ones each time (a linear congruential generator, Numerical Recipes' constants). */
function randomIntegers(): () => number {
  let state = 8;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state >>> 8) % 255) - 127;
  };
}

/** Numbers of eight significant bits, exactly. */
function encode(dtype: WeightDtype, numbers: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(numbers.length * BYTES[dtype]));
  for (const [i, x] of numbers.entries()) {
    if (dtype === 'F32') view.setFloat32(4 * i, x, true);
    else if (dtype === 'F64') view.setFloat64(8 * i, x, true);
    else view.setUint16(2 * i, dtype === 'F16' ? halfBits(x) : floatBits(x) >>> 16, true);
  }
  return new Uint8Array(view.buffer);
}

function floatBits(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0] as number;
}

/** The float16 of a number that float16 has. */
function halfBits(x: number): number {
  const sign = x < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  return sign | ((floatBits(magnitude) - (112 << 23)) >>> 13);
}
