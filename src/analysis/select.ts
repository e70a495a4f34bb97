import type { Gpu } from '../gpu/device.ts';
import type { KernelSource } from '../gpu/kernel.ts';
import type { Recording } from '../gpu/recording.ts';
import { loadKernelSource } from '../gpu/sources.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { quantileCut } from './quantile.ts';
import type { AnalysisOptions } from './result.ts';

/** A run of rows that share one θ: a sequence, the windows of a long text, or the words of a sequence. */
export interface Group {
  readonly start: number;
  readonly length: number;
  /** How many of its rows are ranked. */
  readonly ranked: number;
}

/** What one group's θ comes to. Numbers are float32. */
export interface Summary {
  /** null where nothing is ranked. */
  readonly threshold: number | null;
  /** The greatest LOW value, and the least HIGH one; null where there is none. */
  readonly below: number | null;
  readonly cut: number | null;
  readonly ranked: number;
  readonly high: number;
}

/** The kernels that find θ and the buckets. */
export interface SelectionSources {
  readonly rankSelect: KernelSource;
  readonly radixHistogram: KernelSource;
  readonly radixPick: KernelSource;
  readonly threshold: KernelSource;
  readonly bucket: KernelSource;
}

/** Floats of a group's summary: θ, s(lo), s(lo + 1), below, cut, ranked, high, unused. */
const SUMMARY = 8;
const LANES = 64;
/** Workgroups that WebGPU dispatches along one axis, at least and on most devices at most. */
const MOST_GROUPS = 65535;

/** Counting ranks takes n² comparisons: from here on, one group by itself is selected from by radix. */
const RADIX_FROM = 4096;
/** Digits of a radix selection, highest first, and the size of its histograms: see radix_histogram. */
const DIGITS = [
  { shift: 21, width: 11 },
  { shift: 10, width: 11 },
  { shift: 0, width: 10 },
];
const BINS = 2048;
/** Enough to fill any GPU; each invocation then looks at many norms. */
const RADIX_GROUPS = 1024;

export async function loadSelectionSources(): Promise<SelectionSources> {
  const names = ['rank_select', 'radix_histogram', 'radix_pick', 'threshold', 'bucket'];
  const [rankSelect, radixHistogram, radixPick, threshold, bucket] = await Promise.all(names.map(loadKernelSource));
  return { rankSelect, radixHistogram, radixPick, threshold, bucket } as SelectionSources;
}

/**
 * Writes down how θ and the buckets come from the norms, for every group: its order statistics, θ from them, and the buckets.
 * @param norms [S] TAS of every row
 * @param ranked [S] 1 where a row is ranked, else 0
 * @returns buckets [S]: 0 not ranked, 1 LOW, 2 HIGH; summaries [groups, 8]
 */
export function recordSelection(
  gpu: Gpu,
  sources: SelectionSources,
  recording: Recording,
  norms: Tensor,
  ranked: Uint32Array,
  groups: readonly Group[],
  options: AnalysisOptions,
): { buckets: Tensor; summaries: Tensor } {
  const S = norms.length;
  const sequences = groups.length;
  const longest = Math.max(0, ...groups.map(({ length }) => length));
  const flags = recording.upload('ranked', [S], ranked);
  const cuts = recording.upload('cuts', [sequences, 4], cutTable(groups, options));
  const summaries = recording.tensor('summaries', [sequences, SUMMARY]);
  const buckets = recording.tensor('buckets', [S], { element: 'u32' });

  const operands = { norms, ranked: flags, cuts };
  let selected: Tensor;
  if (options.threshold !== null) {
    const theta = roundedThreshold(options.threshold, options.boundary);
    selected = recording.upload('order statistics', [sequences, 2], new Float32Array(2 * sequences).fill(theta));
  } else if (groups.length === 1 && longest > RADIX_FROM) {
    selected = recordRadixSelection(gpu, sources, recording, norms, flags, groups[0] as Group, options);
  } else {
    selected = recording.tensor('order statistics', [sequences, 2]);
    recording.dispatch(gpu.kernel(sources.rankSelect), { ...operands, selected }, { sequences, longest }, [
      Math.ceil(Math.max(longest, 1) / LANES),
      sequences,
    ]);
  }
  const exclusive = options.boundary === 'exclusive' ? 1 : 0;
  recording.dispatch(
    gpu.kernel(sources.threshold),
    { ...operands, selected, summary: summaries },
    { sequences, exclusive },
    [Math.ceil(sequences / LANES)],
  );
  // Only one group by itself, a corpus or a long text, can have more rows than a grid: it goes in stretches.
  const most = MOST_GROUPS * LANES;
  for (let from = 0; from < longest; from += most) {
    const stretch =
      longest <= most
        ? cuts
        : recording.upload('stretch', [1, 4], Uint32Array.of(from, Math.min(most, longest - from), 0, 0));
    recording.dispatch(
      gpu.kernel(sources.bucket),
      { norms, ranked: flags, cuts: stretch, summary: summaries, buckets },
      { sequences, longest },
      [Math.ceil(Math.min(most, longest - from) / LANES), sequences],
    );
  }
  return { buckets, summaries };
}

/** [1, 2]: s(lo) and s(lo + 1) among any number of norms, in three passes over them. `group` is all of the norms. */
function recordRadixSelection(
  gpu: Gpu,
  sources: SelectionSources,
  recording: Recording,
  norms: Tensor,
  ranked: Tensor,
  group: Group,
  { interpolation, quantile }: AnalysisOptions,
): Tensor {
  const { lo } = group.ranked > 0 ? quantileCut(interpolation, group.ranked, quantile) : { lo: 0 };
  const next = Math.min(lo + 1, Math.max(group.ranked, 1) - 1);
  const targets = recording.upload('radix targets', [2, 2], Uint32Array.of(0, lo, 0, next));
  const histogram = recording.upload('histogram', [2, BINS], new Uint32Array(2 * BINS));
  const selected = recording.tensor('order statistics', [1, 2]);
  const count = norms.length;
  const groups = Math.min(RADIX_GROUPS, Math.ceil(count / LANES));
  for (const { shift, width } of DIGITS) {
    const counting = { norms, ranked, targets, histogram };
    recording.dispatch(gpu.kernel(sources.radixHistogram), counting, { count, shift, width }, [groups]);
    recording.dispatch(gpu.kernel(sources.radixPick), { targets, histogram, selected }, { shift }, [1]);
  }
  return selected;
}

/** [groups, 4]: first row, rows, lo, and g as the bits of a float32. */
function cutTable(groups: readonly Group[], { interpolation, quantile }: AnalysisOptions): Uint32Array {
  const table = new Uint32Array(groups.length * 4);
  const floats = new Float32Array(table.buffer);
  for (const [index, { start, length, ranked }] of groups.entries()) {
    const { lo, g } = ranked > 0 ? quantileCut(interpolation, ranked, quantile) : { lo: 0, g: 0 };
    table.set([start, length, lo], index * 4);
    floats[index * 4 + 3] = g;
  }
  return table;
}

/** Reads what `recordSelection` left. A θ that was given as a number is reported as it was given. */
export function readSummaries(bytes: ArrayBuffer, options: AnalysisOptions): Summary[] {
  const numbers = new Float32Array(bytes);
  return Array.from({ length: numbers.length / SUMMARY }, (_, group) => {
    const [theta = 0, , , below = 0, cut = 0, ranked = 0, high = 0] = numbers.subarray(
      group * SUMMARY,
      (group + 1) * SUMMARY,
    );
    return {
      threshold: ranked === 0 ? null : (options.threshold ?? theta),
      below: below < 0 ? null : below,
      cut: cut < 0 ? null : cut,
      ranked,
      high,
    };
  });
}

/** The float32 that decides like the number itself: rounded up for s ≥ θ, down for s > θ. */
export function roundedThreshold(theta: number, boundary: AnalysisOptions['boundary']): number {
  const nearest = Math.fround(theta);
  if (boundary === 'inclusive') return nearest >= theta ? nearest : nextFloat(nearest, 1);
  return nearest <= theta ? nearest : nextFloat(nearest, -1);
}

/** The neighbouring float32 in the direction of `sign`. */
function nextFloat(x: number, sign: 1 | -1): number {
  const float = Float32Array.of(x);
  const bits = new Int32Array(float.buffer);
  if (x === 0) return sign * 2 ** -149;
  bits[0] = (bits[0] as number) + (x > 0 === sign > 0 ? 1 : -1);
  return float[0] as number;
}

/** What correct adapters differ by in a TAS, as a share of θ. */
const ROUNDING = 5e-7;

/**
 * Whether a bucket could differ on another adapter. Where θ is a quantile: the values on the two sides of the cut lie within 2ε of
 * each other, and the token within 2ε of the other side. Where it is given as a number: the token lies within ε of it. ε = 5·10⁻⁷ θ.
 */
export function isBorderline(tas: number, { threshold, below, cut }: Summary, given: boolean): boolean {
  if (threshold === null) return false;
  const epsilon = ROUNDING * threshold;
  if (given) return Math.abs(tas - threshold) <= epsilon;
  if (below === null || cut === null || cut - below > 2 * epsilon) return false;
  return tas >= cut ? tas - below <= 2 * epsilon : cut - tas <= 2 * epsilon;
}
