import type { Cut } from './rank_select.ts';

/** 0 not ranked, 1 LOW, 2 HIGH, by the least HIGH norm in `summary` [sequences, 8] (−1: none is HIGH): [S] */
export function bucket(
  norms: ArrayLike<number>,
  ranked: ArrayLike<number>,
  cuts: readonly Cut[],
  summary: ArrayLike<number>,
): Uint32Array {
  const buckets = new Uint32Array(norms.length);
  for (const [q, { start, length }] of cuts.entries()) {
    const cut = summary[8 * q + 4] as number;
    for (let t = start; t < start + length; t++) {
      if (ranked[t] === 1) buckets[t] = cut >= 0 && (norms[t] as number) >= cut ? 2 : 1;
    }
  }
  return buckets;
}
