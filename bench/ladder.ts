/** The operations of an encoder layer on one rung: run once and held against float64, then ready to be timed. */
import { TwinOperations, type Matrix } from '../kernels/twins/operations.ts';
import { pack } from '../src/bert/batch.ts';
import type { BertConfig } from '../src/bert/config.ts';
import type { BertWeights, Dense, LayerWeights } from '../src/bert/operations.ts';
import type { Rung } from '../src/bert/rung.ts';
import type { Gpu } from '../src/gpu/device.ts';
import type { Tensor } from '../src/gpu/tensor.ts';
import { Repeated, Tape, type Call } from './repeated.ts';

/** An operation of one rung on so many tokens. */
export interface Timed {
  operation: string;
  kind: 'dense' | 'attention' | 'vectors';
  unit: 'GFLOPS' | 'GB/s';
  /** Operations (a multiply-add as two) or bytes of one time. */
  work: number;
  /** See Rate.max_error. */
  maxError: number;
  repeated: Repeated;
}

/** All operations of a rung on one batch, and the memory that they share. */
export interface TimedLayer {
  operations: Timed[];
  free(): void;
}

/** Dispatches of one operation, what it computed, and that as buffers that can be read. */
interface Captured {
  calls: Call[];
  tensors: Tensor[];
  buffers: Tensor[];
}

/** Every so many rows one is held against float64, from the first; the last one too. */
const SAMPLE = 37;

/**
 * One encoder layer's operations on a sequence of `tokens` tokens, with the model's own weights and states.
 * @param weights the model's, one layer at least, where the rung wants them
 * @param twin the same layer in float64
 */
export async function timedLayer(
  gpu: Gpu,
  config: BertConfig,
  rung: Rung,
  weights: BertWeights<Tensor>,
  twin: LayerWeights<Matrix>,
  tokens: number,
): Promise<TimedLayer> {
  const { hiddenSize: H, intermediateSize: I } = config;
  const [layer] = weights.layers;
  const batch = pack([{ ids: Array.from({ length: tokens }, (_, i) => (1000 + 53 * i) % config.vocabSize) }]);
  const tape = new Tape(gpu);
  const ops = rung.operations(tape);

  const capture = (make: () => Tensor[]): Captured => {
    const from = tape.calls.length;
    const tensors = make();
    // A rung that fuses computes an operation when somebody asks for it. The copies are not the operation's.
    const buffers = tensors.map((tensor) => ops.asBuffer(tensor));
    const copies = new Set(buffers.filter((buffer) => !tensors.includes(buffer)));
    const isCopy = ([, operands]: Call) => Object.values(operands).some((tensor) => copies.has(tensor));
    return { calls: tape.calls.slice(from).filter((call) => !isCopy(call)), tensors, buffers };
  };
  const linear = (x: Tensor, ...dense: Dense<Tensor>[]) => capture(() => dense.map((each) => ops.linear(x, each)));

  const input = capture(() => [ops.layerNorm(ops.embeddings(batch, weights.embeddings), weights.embeddings.layerNorm)]);
  const [x] = input.tensors;
  const qkv = linear(x, layer.attention.query, layer.attention.key, layer.attention.value);
  const [query, key, value] = qkv.tensors;
  const output = linear(x, layer.attention.output);
  const up = linear(x, layer.intermediate);
  const down = linear(up.tensors[0], layer.output);
  const context = capture(() => [
    ops.attentionContext(ops.softmax(ops.attentionScores(query, key, batch), batch), value, batch),
  ]);
  const normed = capture(() => [ops.layerNorm(ops.add(output.tensors[0], x), layer.attention.layerNorm)]);

  const captured = [input, qkv, output, up, down, context, normed];
  const buffers = captured.flatMap((each) => each.buffers);
  const read = new Map<Tensor, Matrix>();
  for (const [i, bytes] of (await tape.submit(buffers)).entries()) {
    const { rows, columns } = buffers[i];
    read.set(buffers[i], { values: Float64Array.from(new Float32Array(bytes)), rows, columns });
  }
  const found = ({ buffers: own }: Captured) => own.map((buffer) => read.get(buffer)!);

  const twins = new TwinOperations(config);
  const denseError = (from: Captured, to: Captured, ...dense: Dense<Matrix>[]) => {
    const rows = sampled(found(from)[0]);
    return maxError(
      found(to).map(sampled),
      dense.map((each) => twins.linear(rows, each)),
    );
  };
  const expectedContext = () => {
    const [q, k, v] = found(qkv);
    return twins.attentionContext(twins.softmax(twins.attentionScores(q, k, batch), batch), v, batch);
  };
  const expectedNorm = () => twins.layerNorm(twins.add(found(output)[0], found(input)[0]), twin.attention.layerNorm);

  const product = (N: number, K: number) => 2 * tokens * N * K;
  const timed: Timed[] = [];
  const add = async (kind: Timed['kind'], operation: string, work: number, { calls }: Captured, error: number) => {
    const unit = kind === 'vectors' ? 'GB/s' : 'GFLOPS';
    timed.push({ operation, kind, unit, work, maxError: error, repeated: await Repeated.prepare(gpu, calls) });
  };
  const { query: q, key: k, value: v, output: o } = twin.attention;
  await add('dense', `Q, K, V: ${H} → ${3 * H}`, product(3 * H, H), qkv, denseError(input, qkv, q, k, v));
  await add('dense', `attention's output: ${H} → ${H}`, product(H, H), output, denseError(input, output, o));
  await add('dense', `feed-forward, up: ${H} → ${I}`, product(I, H), up, denseError(input, up, twin.intermediate));
  await add('dense', `feed-forward, down: ${I} → ${H}`, product(H, I), down, denseError(up, down, twin.output));
  const heads = `attention: ${config.numAttentionHeads} heads of ${config.headSize}`;
  const contextError = maxError(found(context), [expectedContext()]);
  await add('attention', heads, 4 * tokens * tokens * H, context, contextError);
  // Two rows are read and one is written, whatever a rung makes of it.
  await add('vectors', 'residual and LayerNorm', 12 * tokens * H, normed, maxError(found(normed), [expectedNorm()]));
  return {
    operations: timed,
    free() {
      for (const { repeated } of timed) repeated.free();
      tape.free();
    },
  };
}

function sampled({ values, rows, columns }: Matrix): Matrix {
  const chosen = Array.from({ length: rows }, (_, row) => row).filter((row) => row % SAMPLE === 0 || row === rows - 1);
  const parts = chosen.flatMap((row) => [...values.subarray(row * columns, (row + 1) * columns)]);
  return { values: Float64Array.from(parts), rows: chosen.length, columns };
}

/** Largest difference over the root mean square of what is expected; NaN where a number is none. */
function maxError(found: Matrix[], expected: Matrix[]): number {
  let worst = 0;
  let squares = 0;
  let count = 0;
  for (const [i, { values }] of expected.entries()) {
    for (const [j, value] of values.entries()) {
      const difference = Math.abs(found[i].values[j] - value);
      if (!(difference <= worst)) worst = difference;
      squares += value * value;
    }
    count += values.length;
  }
  return worst / Math.sqrt(squares / count);
}
