import { TwinOperations } from '../../kernels/twins/operations.ts';
import type { Matrix } from '../../kernels/twins/operations.ts';
import { readTwinWeights } from '../../kernels/twins/weights.ts';
import { openCheckpoint } from '../checkpoint/checkpoint.ts';
import type { WeightDtype } from '../checkpoint/dtypes.ts';
import { NumericError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { Recording } from '../gpu/recording.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { pack } from './batch.ts';
import type { Batch } from './batch.ts';
import type { BertConfig } from './config.ts';
import { forward } from './forward.ts';
import type { BertWeights } from './operations.ts';
import { randomCheckpoint, smallConfig } from './randommodel.ts';
import type { Rung, RungFactory } from './rung.ts';
import { loadWeights } from './weights.ts';

/** As `verify` allows: the random case's numbers are of BERT's size. */
const ATOL = 1e-5;
const RTOL = 5e-6;
/** Sequences of the case: one token, less than a tile, more than one. */
const LENGTHS = [1, 6, 17, 3];

interface Case {
  readonly config: BertConfig;
  readonly batch: Batch;
  readonly weights: BertWeights<Tensor>;
  readonly twinWeights: BertWeights<Matrix>;
}

/**
 * Holds the arithmetic of an adapter against float64: an encoder layer with random weights, stored as the model's are, on packed
 * sequences of awkward lengths, through the kernels of the rung and through their twins.
 * @throws NumericError naming the stage and the kernel that compute wrongly
 */
export async function selfCheck(gpu: Gpu, factory: RungFactory, model: BertConfig, dtype: WeightDtype): Promise<void> {
  const config = smallConfig(model);
  const rung = await factory.create(gpu, config);
  await using checkpoint = await openCheckpoint(randomCheckpoint(config, dtype));
  const weights = await loadWeights(gpu, checkpoint, config, 1, rung.placement);
  const twinWeights = await readTwinWeights(checkpoint, config);
  const sequences = LENGTHS.map((length, q) => ({
    ids: Array.from({ length }, (_, i) => (7 * i + 3 * q) % config.vocabSize),
  }));
  const one: Case = { config, batch: pack(sequences), weights, twinWeights };
  const [hidden, tas] = expectedResult(one);

  // As the model runs, with every fusion; stage by stage only where that is out, to find the kernel.
  const recording = new Recording(gpu);
  const ops = rung.operations(recording);
  const state = forward(ops, weights, one.batch, 1);
  const [states, norms] = await recording.submit([ops.asBuffer(state), ops.l2Norm(state)]);
  if (isClose(states, hidden.values) && isClose(norms, tas.values)) return;
  throw await blame(gpu, rung, one);
}

function expectedResult({ config, batch, twinWeights }: Case): [hidden: Matrix, tas: Matrix] {
  const twins = new TwinOperations(config);
  const hidden = forward(twins, twinWeights, batch, 1);
  return [hidden, twins.l2Norm(hidden)];
}

/** The error that names the first stage that is out, and its kernel. */
async function blame(gpu: Gpu, rung: Rung, { config, batch, weights, twinWeights }: Case): Promise<NumericError> {
  const expected = new Map<string, Matrix>();
  forward(new TwinOperations(config), twinWeights, batch, 1, (stage, tensor) => {
    expected.set(stage, tensor);
    return tensor;
  });
  const recording = new Recording(gpu);
  const ops = rung.operations(recording);
  const kept: { stage: string; tensor: Tensor; buffer: Tensor }[] = [];
  forward(ops, weights, batch, 1, (stage, tensor) => {
    // Scores and probabilities have entries that mean nothing, and fused kernels do not keep them: the context shows their errors.
    if (!/\.(scores|probs)$/.test(stage)) kept.push({ stage, tensor, buffer: ops.asBuffer(tensor) });
    return tensor;
  });
  const results = await recording.submit(kept.map(({ buffer }) => buffer));
  const out = kept.find(({ stage }, index) => !isClose(results[index], (expected.get(stage) as Matrix).values));
  const where = out
    ? `${out.stage}, kernel ${recording.makerOf(out.tensor) ?? recording.makerOf(out.buffer)}`
    : 'a fused kernel';
  const { name, driver } = gpu.description;
  return new NumericError(`this adapter computes wrongly: ${name} (${driver}): ${where}, ${rung.name} kernels`, {
    hint: 'Update the driver, or choose another adapter with --adapter (`layer8 doctor` lists them).',
  });
}

/** NaN is close to nothing. */
function isClose(bytes: ArrayBuffer | undefined, expected: Float64Array): boolean {
  const found = new Float32Array(bytes ?? new ArrayBuffer(0));
  return (
    found.length === expected.length &&
    found.every((x, i) => Math.abs(x - (expected[i] as number)) <= ATOL + RTOL * Math.abs(expected[i] as number))
  );
}
