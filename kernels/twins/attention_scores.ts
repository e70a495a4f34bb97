/** What the three attention kernels are told: S rows, H = A · D, A heads of size D, `longest` tokens in the longest sequence. */
export interface AttentionSize {
  readonly S: number;
  readonly H: number;
  readonly A: number;
  readonly D: number;
  readonly longest: number;
}

/** q kᵀ / √D for each head and each pair of rows of one sequence: [S, H] → [A, S, longest]; 0 past the end of a sequence. */
export function attentionScores(
  query: ArrayLike<number>,
  key: ArrayLike<number>,
  rows: ArrayLike<number>,
  { S, H, A, D, longest }: AttentionSize,
): Float64Array {
  const scores = new Float64Array(A * S * longest);
  for (let a = 0; a < A; a++) {
    for (let s = 0; s < S; s++) {
      const [first, length] = [rows[4 * s + 2] as number, rows[4 * s + 3] as number];
      for (let j = 0; j < length; j++) {
        let sum = 0;
        for (let d = 0; d < D; d++)
          sum += (query[s * H + a * D + d] as number) * (key[(first + j) * H + a * D + d] as number);
        scores[(a * S + s) * longest + j] = sum / Math.sqrt(D);
      }
    }
  }
  return scores;
}
