/** γ · (x − mean) / √(variance + ε) + β along each row: [S, H] → [S, H] */
export function layerNorm(
  x: ArrayLike<number>,
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  { S, H, epsilon }: { S: number; H: number; epsilon: number },
): Float64Array {
  const y = new Float64Array(S * H);
  for (let s = 0; s < S; s++) {
    const row = Float64Array.from({ length: H }, (_, h) => x[s * H + h] as number);
    const mean = row.reduce((sum, value) => sum + value, 0) / H;
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / H;
    for (let h = 0; h < H; h++) {
      y[s * H + h] =
        ((gamma[h] as number) * ((row[h] as number) - mean)) / Math.sqrt(variance + epsilon) + (beta[h] as number);
    }
  }
  return y;
}
