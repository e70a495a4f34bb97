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
  readonly threshold: KernelSource;
  readonly bucket: KernelSource;
}

/** Floats of a group's summary: θ, s(lo), s(lo + 1), below, cut, ranked, high, unused. */
const SUMMARY = 8;
const LANES = 64;

export async function loadSelectionSources(): Promise<SelectionSources> {
  const [rankSelect, threshold, bucket] = await Promise.all(
    ['rank_select', 'threshold', 'bucket'].map(loadKernelSource),
  );
  return { rankSelect, threshold, bucket } as SelectionSources;
}

/**
 * Writes down how θ and the buckets come from the norms, for every group in three dispatches.
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

  let selected: Tensor;
  if (options.threshold === null) {
    selected = recording.tensor('order statistics', [sequences, 2]);
    const kernel = gpu.kernel(sources.rankSelect);
    recording.dispatch(kernel, { norms, ranked: flags, cuts, selected }, { sequences, longest }, [
      Math.ceil(Math.max(longest, 1) / LANES),
      sequences,
    ]);
  } else {
    const theta = roundedThreshold(options.threshold, options.boundary);
    selected = recording.upload('order statistics', [sequences, 2], new Float32Array(2 * sequences).fill(theta));
  }
  const exclusive = options.boundary === 'exclusive' ? 1 : 0;
  recording.dispatch(
    gpu.kernel(sources.threshold),
    { norms, ranked: flags, cuts, selected, summary: summaries },
    { sequences, exclusive },
    [Math.ceil(sequences / LANES)],
  );
  recording.dispatch(
    gpu.kernel(sources.bucket),
    { norms, ranked: flags, cuts, summary: summaries, buckets },
    { sequences, longest },
    [Math.ceil(longest / LANES), sequences],
  );
  return { buckets, summaries };
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

/**
 * Whether a bucket could differ on another adapter: the values on the two sides of the cut lie within 2ε of each other, and the
 * token within 2ε of the other side. ε = 5·10⁻⁷ θ, what correct adapters differ by.
 */
export function isBorderline(tas: number, { threshold, below, cut }: Summary): boolean {
  if (threshold === null || below === null || cut === null) return false;
  const width = 2 * 5e-7 * threshold;
  if (cut - below > width) return false;
  return tas >= cut ? tas - below <= width : cut - tas <= width;
}
