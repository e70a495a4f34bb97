/** √(Σ_h x[s, h]²): [S, H] → [S] */
export function l2Norm(x: ArrayLike<number>, { S, H }: { S: number; H: number }): Float64Array {
  const y = new Float64Array(S);
  for (let s = 0; s < S; s++) {
    let sum = 0;
    for (let h = 0; h < H; h++) sum += (x[s * H + h] as number) ** 2;
    y[s] = Math.sqrt(sum);
  }
  return y;
}
