/** x Wᵀ + b: x [S, K], W [N, K], b [N] → [S, N] */
export function linear(
  x: ArrayLike<number>,
  W: ArrayLike<number>,
  b: ArrayLike<number>,
  { S, N, K }: { S: number; N: number; K: number },
): Float64Array {
  const y = new Float64Array(S * N);
  for (let s = 0; s < S; s++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += (x[s * K + k] as number) * (W[n * K + k] as number);
      y[s * N + n] = sum + (b[n] as number);
    }
  }
  return y;
}
