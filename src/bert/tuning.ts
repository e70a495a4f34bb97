import { CompileError } from '../errors.ts';
import type { Gpu } from '../gpu/device.ts';
import { Recording } from '../gpu/recording.ts';
import { pack } from './batch.ts';
import type { BertConfig } from './config.ts';
import type { BertWeights } from './operations.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { remembered } from './remembered.ts';
import type { Rung, Tuning } from './rung.ts';

/** Each way is timed so often, in turns, and its best time counts. */
const ROUNDS = 5;
/** A round repeats the product until it takes so long, or so often. */
const ROUND_SECONDS = 0.03;
const MOST_REPEATS = 64;
/** Another way than the first must be faster by this, or noise would choose. */
const WORTHWHILE = 0.97;

/**
 * Chooses among a rung's ways to make a matrix product by timing them on this adapter with the model's own weights, once: what was
 * found is kept in the cache. Results do not depend on the choice, bit for bit.
 */
export async function tune(gpu: Gpu, rung: Rung, config: BertConfig, weights: BertWeights<Tensor>): Promise<void> {
  const { tuning } = rung;
  const [layer] = weights.layers;
  if (!tuning || !layer) return;
  const { hiddenSize: H, intermediateSize: I } = config;
  const memory = await remembered('tuning', gpu, [rung.name, tuning, H, I, layer.intermediate.weight.element]);
  const known = await memory?.read();
  if (known !== undefined && tuning.ways.includes(known)) return tuning.choose(known);
  const fastest = await fastestWay(gpu, rung, tuning, config, weights);
  tuning.choose(fastest);
  await memory?.write(fastest);
}

async function fastestWay(
  gpu: Gpu,
  rung: Rung,
  tuning: Tuning,
  config: BertConfig,
  weights: BertWeights<Tensor>,
): Promise<string> {
  const { rows, ways } = tuning;
  const length = Math.min(rows, config.maxPositionEmbeddings);
  const sequences = Array.from({ length: Math.ceil(rows / length) }, () => ({ ids: Array<number>(length).fill(0) }));
  const batch = pack(sequences);
  const seconds = async (way: string, repeats: number): Promise<number> => {
    tuning.choose(way);
    const recording = new Recording(gpu);
    const ops = rung.operations(recording);
    const x = ops.embeddings(batch, weights.embeddings);
    // The norm is what makes a fused rung compute the product, and it is little beside it.
    const products = Array.from({ length: repeats }, () =>
      ops.l2Norm(ops.linear(x, (weights.layers[0] as BertWeights<Tensor>['layers'][number]).intermediate)),
    );
    const start = performance.now();
    await recording.submit(products.slice(-1));
    return (performance.now() - start) / 1000;
  };
  const [first] = ways as [string];
  const best = new Map<string, number>();
  let longest = 0;
  for (const way of ways) {
    try {
      await seconds(way, 1); // compiles
      longest = Math.max(longest, await seconds(way, 1));
      best.set(way, Infinity);
    } catch (error) {
      // A way that this driver cannot compile is not taken; without the first the rung cannot run.
      if (!(error instanceof CompileError) || way === first) throw error;
    }
  }
  const able = [...best.keys()];
  const repeats = Math.min(MOST_REPEATS, Math.max(1, Math.ceil(ROUND_SECONDS / longest)));
  for (let round = 0; round < ROUNDS; round++) {
    for (const way of able) best.set(way, Math.min(best.get(way) as number, await seconds(way, repeats)));
  }
  return able.reduce((chosen, way) => {
    const handicap = chosen === first ? WORTHWHILE : 1;
    return (best.get(way) as number) < handicap * (best.get(chosen) as number) ? way : chosen;
  }, first);
}
