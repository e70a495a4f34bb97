/** word[id] + position[row − first] + tokenType[type]: `rows` [S, 4] of (id, type, first row, length) → [S, H] */
export function embeddings(
  rows: ArrayLike<number>,
  word: ArrayLike<number>,
  position: ArrayLike<number>,
  tokenType: ArrayLike<number>,
  { S, H }: { S: number; H: number },
): Float64Array {
  const y = new Float64Array(S * H);
  for (let s = 0; s < S; s++) {
    const [id, type, first] = [rows[4 * s] as number, rows[4 * s + 1] as number, rows[4 * s + 2] as number];
    for (let h = 0; h < H; h++) {
      y[s * H + h] =
        (word[id * H + h] as number) + (position[(s - first) * H + h] as number) + (tokenType[type * H + h] as number);
    }
  }
  return y;
}
