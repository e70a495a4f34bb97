import { loadMeasureSources } from '../analysis/measure.ts';
import { DEFAULT_OPTIONS } from '../analysis/result.ts';
import { pack } from '../bert/batch.ts';
import { parseConfig } from '../bert/config.ts';
import type { BertConfig } from '../bert/config.ts';
import { forward } from '../bert/forward.ts';
import { outlineWeights } from '../bert/outline.ts';
import { RUNGS, candidates } from '../bert/rungs.ts';
import type { Gpu } from '../gpu/device.ts';
import type { KernelSource } from '../gpu/kernel.ts';
import { Recording } from '../gpu/recording.ts';
import type { ElementType } from '../gpu/tensor.ts';

/** A rung of the ladder on one adapter. */
export interface ExaminedRung {
  name: string;
  /** It runs; it would where the ones before it fail; it could be chosen by name, but is slower here; or it cannot run here. */
  state: 'runs' | 'fallback' | 'slower' | 'unfit';
  /** Why it cannot run; null where it can. */
  reason: string | null;
}

/** A kernel as this adapter gets it. */
export interface ExaminedKernel extends KernelSource {
  /** What its `override` constants are set to, in each pipeline that is made of it; empty where it has none. */
  constants: string[];
  /** Why this driver does not compile it, or null. */
  problem: string | null;
}

/** BERT-base, for a machine without a model: transformers' defaults. */
export const BERT_BASE = parseConfig('{"model_type": "bert"}', 'config.json', 'BERT-base');

/**
 * The ladder on this adapter: the rung that runs, those to fall back to, and the others.
 * @param wanted as `--kernels` takes it
 * @throws UsageError where that is no rung, or one that cannot run here
 */
export function examineRungs(gpu: Gpu, config: BertConfig, element: ElementType, wanted: string): ExaminedRung[] {
  const order = candidates(wanted, gpu, config, element);
  const tried = order.map(({ name }, index): ExaminedRung => {
    return { name, state: index === 0 ? 'runs' : 'fallback', reason: null };
  });
  const others = RUNGS.filter((rung) => !order.includes(rung)).map((rung): ExaminedRung => {
    const reason = rung.unfit(gpu, config, element) ?? null;
    return { name: rung.name, state: reason === null ? 'slower' : 'unfit', reason };
  });
  return [...tried, ...others];
}

/**
 * The kernels that a run takes on this adapter, compiled: a forward pass is written down for batches that need every tile size, but
 * not run.
 * @param wanted as `--kernels` takes it
 * @throws UsageError where that is no rung, or one that cannot run here
 */
export async function examineKernels(
  gpu: Gpu,
  config: BertConfig,
  element: ElementType,
  wanted: string,
): Promise<ExaminedKernel[]> {
  const [factory] = candidates(wanted, gpu, config, element);
  if (factory === undefined) return [];
  const rung = await factory.create(gpu, config);
  const weights = outlineWeights(config, element, rung.placement);
  for (const rows of BATCHES) {
    const ops = rung.operations(new Recording(gpu));
    ops.l2Norm(forward(ops, weights, pack([{ ids: Array.from({ length: rows }, () => 0) }]), 1));
  }
  const analysis = await loadMeasureSources({ ...DEFAULT_OPTIONS, unit: 'word', shift: true });
  for (const source of Object.values(analysis)) if (source !== undefined) gpu.kernel(source);

  const kernels = new Map<string, ExaminedKernel>();
  for (const { name, code, constants, pipeline } of gpu.kernels()) {
    const kernel = kernels.get(code) ?? { name, code, constants: [], problem: null };
    const set = Object.entries(constants).map(([constant, value]) => `${constant} = ${value}`);
    if (set.length > 0) kernel.constants.push(set.join(', '));
    kernel.problem ??= await gpu.wait(pipeline).then(
      () => null,
      (error: Error) => error.message.trim(),
    );
    kernels.set(code, kernel);
  }
  return [...kernels.values()];
}

/** Tokens of the batches: between them they take every height of tile. */
const BATCHES = [1, 12, 16, 28];
