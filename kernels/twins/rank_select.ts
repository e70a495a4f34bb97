/** One sequence of a batch: its first row, its length, and where θ lies between its order statistics, ⌊v⌋ and v − ⌊v⌋. */
export interface Cut {
  readonly start: number;
  readonly length: number;
  readonly lo: number;
  readonly g: number;
}

/** The ranked norms of a sequence, smallest first. */
export function rankedNorms(norms: ArrayLike<number>, ranked: ArrayLike<number>, { start, length }: Cut): Float64Array {
  const rows = Array.from({ length }, (_, i) => start + i).filter((row) => ranked[row] === 1);
  return Float64Array.from(rows, (row) => norms[row] as number).sort();
}

/** (s₍lo₎, s₍min(lo + 1, n − 1)₎) of every sequence, by sorting; (−1, −1) where nothing is ranked: [sequences, 2] */
export function rankSelect(norms: ArrayLike<number>, ranked: ArrayLike<number>, cuts: readonly Cut[]): Float64Array {
  return Float64Array.from(
    cuts.flatMap((cut) => {
      const sorted = rankedNorms(norms, ranked, cut);
      return [sorted[cut.lo] ?? -1, sorted[Math.min(cut.lo + 1, sorted.length - 1)] ?? -1];
    }),
  );
}
