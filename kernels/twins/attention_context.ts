import type { AttentionSize } from './attention_scores.ts';

/** Σ over the tokens of a row's sequence of probability × value, the heads side by side: → [S, H] */
export function attentionContext(
  probabilities: ArrayLike<number>,
  value: ArrayLike<number>,
  rows: ArrayLike<number>,
  { S, H, D, longest }: AttentionSize,
): Float64Array {
  const context = new Float64Array(S * H);
  for (let s = 0; s < S; s++) {
    const [first, length] = [rows[4 * s + 2] as number, rows[4 * s + 3] as number];
    for (let h = 0; h < H; h++) {
      const row = (Math.floor(h / D) * S + s) * longest;
      let sum = 0;
      for (let j = 0; j < length; j++)
        sum += (probabilities[row + j] as number) * (value[(first + j) * H + h] as number);
      context[s * H + h] = sum;
    }
  }
  return context;
}
