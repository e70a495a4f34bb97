import { afterAll, describe, expect, test } from 'vitest';
import { INTERPOLATIONS, DEFAULT_OPTIONS } from '../../src/analysis/result.ts';
import type { AnalysisOptions, Interpolation } from '../../src/analysis/result.ts';
import {
  isBorderline,
  loadSelectionSources,
  readSummaries,
  recordSelection,
  roundedThreshold,
} from '../../src/analysis/select.ts';
import type { Group, Summary } from '../../src/analysis/select.ts';
import { Recording } from '../../src/gpu/recording.ts';
import { closeGpus, testGpu } from '../kernels/harness.ts';
import { mix } from './made-model.ts';
import { recorded } from './support.ts';

interface Dataset {
  readonly n: number;
  readonly seed: number;
  /** How many different values there are at most, one ulp apart. */
  readonly spread: number;
}

interface Thetas {
  readonly datasets: readonly Dataset[];
  readonly quantiles: readonly number[];
  /** Per dataset and quantile: NumPy's θ in float64, and how many values are ≥ and > the exact θ, by rational arithmetic. */
  readonly results: Record<Interpolation, readonly [theta: number, atLeast: number, more: number][]>;
}

afterAll(closeGpus);

const { datasets, quantiles, results } = await recorded<Thetas>('thetas');
const sources = await loadSelectionSources();

function madeValues({ n, seed, spread }: Dataset): Float32Array {
  return new Float32Array(Uint32Array.from({ length: n }, (_, i) => 0x41a00000 + (mix(i + seed) % spread)).buffer);
}

interface Selected {
  readonly summaries: Summary[];
  readonly buckets: Uint32Array;
}

/** θ and buckets of every run of values, as an analysis finds them: on the GPU, in one submission. */
async function select(
  runs: readonly Float32Array[],
  given: Partial<AnalysisOptions>,
  isRanked: (row: number) => boolean = () => true,
): Promise<Selected> {
  const gpu = await testGpu();
  const options = { ...DEFAULT_OPTIONS, ...given };
  const norms = new Float32Array(runs.reduce((sum, { length }) => sum + length, 0));
  const ranked = Uint32Array.from(norms, (_, row) => (isRanked(row) ? 1 : 0));
  const groups: Group[] = [];
  let start = 0;
  for (const run of runs) {
    norms.set(run, start);
    const taking = ranked.subarray(start, start + run.length).reduce((sum, one) => sum + one, 0);
    groups.push({ start, length: run.length, ranked: taking });
    start += run.length;
  }
  const recording = new Recording(gpu);
  const uploaded = recording.upload('norms', [norms.length], norms);
  const { buckets, summaries } = recordSelection(gpu, sources, recording, uploaded, ranked, groups, options);
  const [bucketBytes, summaryBytes] = await recording.submit([buckets, summaries]);
  return {
    summaries: readSummaries(summaryBytes as ArrayBuffer, options),
    buckets: new Uint32Array(bucketBytes as ArrayBuffer),
  };
}

/** Holds one run against the count of values that are HIGH, and its parts against each other. */
function check(values: Float32Array, { summaries: [summary], buckets }: Selected, high: number, what: string): void {
  const sorted = values.slice().sort();
  const below = sorted[values.length - high - 1] ?? null;
  const cut = sorted[values.length - high] ?? null;
  expect(summary, what).toMatchObject({ ranked: values.length, high, below, cut });
  const wrong = values.findIndex((value, i) => buckets[i] !== (cut !== null && value >= cut ? 2 : 1));
  expect(wrong, `${what}: the first token in a wrong bucket`).toBe(-1);
}

/** A float32 is formed from two float32 in three operations: θ is within two roundings of the exact one. */
function checkTheta(theta: number | null, exact: number, what: string): void {
  expect(theta, what).not.toBeNull();
  expect(Math.abs((theta as number) - exact) / exact, `${what}: θ ${theta}, NumPy's ${exact}`).toBeLessThan(2 ** -23);
}

describe.each(INTERPOLATIONS)('%s', (interpolation) => {
  const short = datasets.filter(({ n }) => n <= 200);

  test.each(['inclusive', 'exclusive'] as const)('θ and every bucket, %s: ties and neighbours', async (boundary) => {
    const runs = short.map(madeValues);
    for (const [q, quantile] of quantiles.entries()) {
      const { summaries, buckets } = await select(runs, { interpolation, quantile, boundary });
      let start = 0;
      for (const [d, values] of runs.entries()) {
        const [exact, atLeast, more] = results[interpolation][d * quantiles.length + q] as [number, number, number];
        const what = `${JSON.stringify(short[d])}, quantile ${quantile}`;
        const own = { summaries: [summaries[d] as Summary], buckets: buckets.subarray(start, start + values.length) };
        check(values, own, boundary === 'inclusive' ? atLeast : more, what);
        checkTheta(summaries[d]?.threshold ?? null, exact, what);
        start += values.length;
      }
    }
  });

  test('the same among thousands', async () => {
    for (const [d, dataset] of datasets.entries()) {
      if (dataset.n <= 200) continue;
      const values = madeValues(dataset);
      const [exact, atLeast] = results[interpolation][d * quantiles.length] as [number, number, number];
      const selected = await select([values], { interpolation, quantile: quantiles[0] as number });
      check(values, selected, atLeast, JSON.stringify(dataset));
      checkTheta(selected.summaries[0]?.threshold ?? null, exact, JSON.stringify(dataset));
    }
  });
});

test('a million values, not all of them ranked, equal a sort', async () => {
  const values = madeValues({ n: 1_000_000, seed: 7, spread: 1 << 20 });
  const isRanked = (row: number): boolean => mix(row) % 10 > 0;
  const sorted = values.filter((_, row) => isRanked(row)).sort();
  const { summaries, buckets } = await select([values], { quantile: 0.75, interpolation: 'lower' }, isRanked);
  const cut = sorted[Math.floor(0.75 * (sorted.length - 1))] as number;
  const first = sorted.indexOf(cut);
  const high = sorted.length - first;
  expect(summaries).toEqual([{ threshold: cut, below: sorted[first - 1], cut, ranked: sorted.length, high }]);
  expect(buckets.findIndex((bucket, row) => bucket !== (!isRanked(row) ? 0 : values[row]! >= cut ? 2 : 1))).toBe(-1);
});

test('one ranked value is θ: HIGH where the boundary is inclusive', async () => {
  const one = Float32Array.of(20.5, 3, 7);
  const onlyFirst = (row: number): boolean => row === 0;
  const inclusive = await select([one], {}, onlyFirst);
  expect(inclusive.summaries).toEqual([{ threshold: 20.5, below: null, cut: 20.5, ranked: 1, high: 1 }]);
  expect([...inclusive.buckets]).toEqual([2, 0, 0]);
  const exclusive = await select([one], { boundary: 'exclusive' }, onlyFirst);
  expect(exclusive.summaries).toEqual([{ threshold: 20.5, below: 20.5, cut: null, ranked: 1, high: 0 }]);
  expect([...exclusive.buckets]).toEqual([1, 0, 0]);
});

test('no ranked value: no θ, no bucket', async () => {
  const nothing = await select([Float32Array.of(4, 9), Float32Array.of(1, 2)], {}, (row) => row > 1);
  expect(nothing.summaries[0]).toEqual({ threshold: null, below: null, cut: null, ranked: 0, high: 0 });
  expect([...nothing.buckets]).toEqual([0, 0, 1, 2]);
});

describe('a θ given as a number', () => {
  const ulp = 2 ** -19; // of a float32 from 16 to 32
  const around = Float32Array.of(20 - ulp, 20, 20 + ulp);

  test.each([
    ['inclusive', 20, [1, 2, 2]],
    ['exclusive', 20, [1, 1, 2]],
    // Between two float32: rounded down for ≥, or up for >, 20 would be HIGH, or 20 + ulp be LOW.
    ['inclusive', 20 + ulp / 4, [1, 1, 2]],
    ['exclusive', 20 + ulp / 4, [1, 1, 2]],
    ['inclusive', 20 + (3 * ulp) / 4, [1, 1, 2]],
    ['exclusive', 20 + (3 * ulp) / 4, [1, 1, 2]],
    ['inclusive', 0, [2, 2, 2]],
    ['exclusive', 0, [2, 2, 2]],
    ['inclusive', 1e300, [1, 1, 1]],
    ['exclusive', 1e300, [1, 1, 1]],
    ['inclusive', 1e-300, [2, 2, 2]],
  ] as const)('%s %d', async (boundary, threshold, expected) => {
    const { summaries, buckets } = await select([around], { boundary, threshold });
    expect([...buckets]).toEqual(expected);
    expect(summaries[0]?.threshold).toBe(threshold);
  });

  test('decides like the number itself, in float64', () => {
    for (let i = 0; i < 2000; i++) {
      const s = Math.fround(20 + mix(i) / 2 ** 34);
      const theta = s + ((mix(i + 5000) / 2 ** 32) * 4 - 2) * ulp;
      expect(s >= roundedThreshold(theta, 'inclusive')).toBe(s >= theta);
      expect(s > roundedThreshold(theta, 'exclusive')).toBe(s > theta);
    }
  });
});

describe('borderline', () => {
  const summary = (below: number | null, cut: number | null): Summary => ({
    threshold: 20,
    below,
    cut,
    ranked: 9,
    high: 3,
  });
  const borderline = (tas: number, of: Summary): boolean => isBorderline(tas, of, false);

  test('the two sides of a cut narrower than 2ε, ε = 5·10⁻⁷ θ, and what lies within 2ε of the other side', () => {
    const narrow = summary(20, 20 + 1.9e-5);
    expect(borderline(20, narrow)).toBe(true);
    expect(borderline(20 + 1.9e-5, narrow)).toBe(true);
    expect(borderline(20 + 2.1e-5, narrow)).toBe(false);
    expect(borderline(20 - 0.05e-5, narrow)).toBe(true);
    expect(borderline(20 - 0.2e-5, narrow)).toBe(false);
  });

  test('not the order statistic itself where the other side is far, and nothing where a side is missing', () => {
    expect(borderline(20, summary(19.9, 20))).toBe(false);
    expect(borderline(20, summary(20 - 2.1e-5, 20))).toBe(false);
    expect(borderline(20, summary(null, 20))).toBe(false);
    expect(borderline(20, summary(20, null))).toBe(false);
  });

  test('within ε of a θ that was given, whatever its neighbours', () => {
    expect(isBorderline(20 + 0.9e-5, summary(19, 20 + 0.9e-5), true)).toBe(true);
    expect(isBorderline(20 - 0.9e-5, summary(20 - 0.9e-5, null), true)).toBe(true);
    expect(isBorderline(20 + 1.1e-5, summary(19, 20 + 1.1e-5), true)).toBe(false);
  });
});
