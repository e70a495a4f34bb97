import { measure, loadMeasureSources } from '../analysis/measure.ts';
import { DEFAULT_OPTIONS } from '../analysis/result.ts';
import { isBorderline } from '../analysis/select.ts';
import type { Summary } from '../analysis/select.ts';
import { pack } from '../bert/batch.ts';
import { forward } from '../bert/forward.ts';
import type { BertModel } from '../bert/model.ts';
import type { Stage } from '../bert/operations.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { Expected } from './expected.ts';
import type { ReferenceCase } from './reference.ts';

/** A component may be this far from its reference: float32 in three orders of summation uses 0.04 to 0.4 of it. */
const STATE = { atol: 1e-5, rtol: 5e-6 };
/** The norm of a row, relative to itself. */
const TAS_RTOL = 5e-7;

/** PyTorch's own largest error over all cases of a reference is the measure of float32; ours may be this many times that. */
export const PYTORCH_FACTOR = 1.5;

/** One stage against its reference. */
export interface StageReport {
  stage: string;
  /** The kernel that made it. */
  kernel: string;
  maxAbsError: number;
  /** The largest error as a share of what it may be. */
  share: number;
  pass: boolean;
}

/** One case against its reference; numbers that have no reference are null. */
export interface CaseReport {
  name: string;
  tokens: number;
  layer: number;
  maxAbsError: number;
  tasMaxAbsError: number;
  /** The error of PyTorch's own float32 run, where it was recorded. */
  pytorchMaxAbsError: number | null;
  pytorchTasMaxAbsError: number | null;
  thresholdError: number | null;
  wrongBuckets: number;
  borderline: number;
  pass: boolean;
  /** The first thing that is out, in words. */
  firstOut?: string;
  stages?: StageReport[];
}

/** Stages that are compared: every known one, or those between layers only (`hidden_states.L` and the attention). */
export type Stages = 'all' | 'layers' | 'last';

/** Runs a case up to `layer` and holds everything that is known of it against its reference. */
export async function compareCase(
  model: BertModel,
  reference: ReferenceCase,
  layer: number,
  which: Stages,
): Promise<CaseReport> {
  const { name, ids, typeIds } = reference;
  const expected = reference.expected(layer);
  const special = expected?.special ?? Array.from(ids, () => false);
  const first = Uint32Array.from(ids.keys()).filter((t) => !special[t]);
  const items = { first, count: new Uint32Array(first.length).fill(1) };
  const rowOf = Uint32Array.from(ids.keys());
  const options = { ...DEFAULT_OPTIONS, layer };
  const sources = await loadMeasureSources(options);
  const input = { sequences: [{ ids, typeIds }], rows: ids.length, rowOf, items };
  const [measured] = await model.run((session) =>
    measure(session, sources, [input], { options, select: true, states: true }),
  );
  if (!measured) throw new Error('one input gives one result');

  const last = `hidden_states.${layer}`;
  const lastKnown = reference.stages.get(last);
  const state = lastKnown && measured.states ? distance(measured.states, lastKnown, STATE) : undefined;
  const tas = expected && distance(measured.tas, expected.tas, { atol: 0, rtol: TAS_RTOL });
  const summary = measured.summary as Summary;
  const thresholdError =
    expected?.threshold == null || summary.threshold === null ? null : Math.abs(summary.threshold - expected.threshold);
  const buckets = Array.from(first, (t, item) => ({
    wrong: (measured.buckets?.[item] === 2) !== expected?.high[t],
    borderline: isBorderline(measured.values[item] as number, summary, false),
    // Two norms that float32 cannot tell apart may be equal here, and then nothing tells that they are near each other.
    undecided: expected !== undefined && isBorderline(expected.tas[t] as number, cutOf(expected), false),
  }));
  const wrongBuckets = expected
    ? buckets.filter(({ wrong, borderline, undecided }) => wrong && !borderline && !undecided).length
    : 0;
  const stages = await compareStages(model, reference, layer, which);

  const firstOut =
    stages.find(({ pass }) => !pass)?.stage ??
    (state && state.share > 1 ? last : undefined) ??
    (tas && tas.share > 1 ? 'TAS' : undefined) ??
    (thresholdError !== null && thresholdError > TAS_RTOL * (expected?.threshold ?? 0) ? 'θ' : undefined) ??
    (wrongBuckets > 0 ? 'buckets' : undefined);
  return {
    name,
    tokens: ids.length,
    layer,
    maxAbsError: state?.max ?? 0,
    tasMaxAbsError: tas?.max ?? 0,
    pytorchMaxAbsError: expected?.pytorch?.states ?? null,
    pytorchTasMaxAbsError: expected?.pytorch?.tas ?? null,
    thresholdError,
    wrongBuckets,
    borderline: buckets.filter(({ borderline }) => borderline).length,
    pass: firstOut === undefined,
    ...(firstOut === undefined ? {} : { firstOut }),
    ...(which === 'last' ? {} : { stages }),
  };
}

/** The two sides of the cut in the reference. */
function cutOf({ tas, special, threshold, high }: Expected): Summary {
  const ranked = [...tas.keys()].filter((t) => !special[t]);
  const lows = ranked.filter((t) => !high[t]).map((t) => tas[t] as number);
  const highs = ranked.filter((t) => high[t]).map((t) => tas[t] as number);
  return {
    threshold,
    below: lows.length === 0 ? null : Math.max(...lows),
    cut: highs.length === 0 ? null : Math.min(...highs),
    ranked: ranked.length,
    high: highs.length,
  };
}

/** A forward pass of its own that brings every stage back that is known of the case. */
async function compareStages(
  model: BertModel,
  reference: ReferenceCase,
  layer: number,
  which: Stages,
): Promise<StageReport[]> {
  const known = (stage: string): boolean =>
    which !== 'last' && reference.stages.has(stage) && (which === 'all' || /^hidden_states|\.probs$/.test(stage));
  if (![...reference.stages.keys()].some(known)) return [];
  const { ids, typeIds } = reference;
  return model.run(async (session) => {
    const { recording, ops } = session.record();
    const kept: { stage: string; tensor: Tensor; read: Tensor }[] = [];
    const listen: Stage<Tensor> = (stage, tensor) => {
      if (known(stage)) kept.push({ stage, tensor, read: ops.asBuffer(tensor) });
      return tensor;
    };
    forward(ops, session.weights, pack([{ ids, typeIds }]), layer, listen);
    const results = await recording.submit(kept.map(({ read }) => read));
    return kept.map(({ stage, tensor, read }, index) => {
      const found = new Float32Array(results[index] as ArrayBuffer);
      const { max, share } = distance(found, reference.stages.get(stage) as Float32Array, STATE);
      return {
        stage,
        kernel: recording.makerOf(tensor) ?? recording.makerOf(read) ?? '',
        maxAbsError: max,
        share,
        pass: share <= 1,
      };
    });
  });
}

/** The largest error, and the largest as a share of atol + rtol |reference|. NaN and a wrong size are infinitely far. */
function distance(
  found: ArrayLike<number>,
  reference: ArrayLike<number>,
  { atol, rtol }: { atol: number; rtol: number },
): { max: number; share: number } {
  if (found.length !== reference.length) return { max: Infinity, share: Infinity };
  let max = 0;
  let share = 0;
  for (let i = 0; i < reference.length; i++) {
    const expected = reference[i] as number;
    const error = Math.abs((found[i] as number) - expected);
    if (Number.isNaN(error)) return { max: Infinity, share: Infinity };
    max = Math.max(max, error);
    share = Math.max(share, error === 0 ? 0 : error / (atol + rtol * Math.abs(expected)));
  }
  return { max, share };
}

/** Whether our largest error is that of float32, by PyTorch's, where that was recorded. */
export function withinPytorch(cases: readonly Pick<CaseReport, 'maxAbsError' | 'pytorchMaxAbsError'>[]): boolean {
  const compared = cases.filter(({ pytorchMaxAbsError }) => pytorchMaxAbsError !== null);
  const worst = (of: (report: (typeof cases)[number]) => number): number => Math.max(0, ...compared.map(of));
  return (
    worst(({ maxAbsError }) => maxAbsError) <=
    PYTORCH_FACTOR * worst(({ pytorchMaxAbsError }) => pytorchMaxAbsError ?? 0)
  );
}
