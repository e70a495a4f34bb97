import { rankedNorms } from './rank_select.ts';
import type { Cut } from './rank_select.ts';

/** (θ, a, b, below, cut, ranked, HIGH, 0) of every sequence, −1 for what is not there: [sequences, 8] */
export function threshold(
  norms: ArrayLike<number>,
  ranked: ArrayLike<number>,
  cuts: readonly Cut[],
  selected: ArrayLike<number>,
  { exclusive }: { exclusive: boolean },
): Float64Array {
  return Float64Array.from(
    cuts.flatMap((cut, q) => {
      const sorted = rankedNorms(norms, ranked, cut);
      if (sorted.length === 0) return [-1, -1, -1, -1, -1, 0, 0, 0];
      const [a, b] = [selected[2 * q] as number, selected[2 * q + 1] as number];
      const leastInclusive = cut.g === 0 || a === b ? a : b;
      const high = sorted.filter((s) => (exclusive ? s > a : s >= leastInclusive));
      const low = sorted.subarray(0, sorted.length - high.length);
      return [a + (b - a) * cut.g, a, b, low.at(-1) ?? -1, high[0] ?? -1, sorted.length, high.length, 0];
    }),
  );
}
