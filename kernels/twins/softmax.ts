/** exp(x − max) / Σ exp(x − max) over the tokens of a row's sequence: [A, S, longest] → [A, S, longest]; 0 past the end of a sequence. */
export function softmax(
  scores: ArrayLike<number>,
  rows: ArrayLike<number>,
  { S, A, longest }: { S: number; A: number; longest: number },
): Float64Array {
  const probabilities = new Float64Array(A * S * longest);
  for (let row = 0; row < A * S; row++) {
    const length = rows[4 * (row % S) + 3] as number;
    const x = Array.from({ length }, (_, j) => scores[row * longest + j] as number);
    const largest = Math.max(...x);
    const exps = x.map((value) => Math.exp(value - largest));
    const sum = exps.reduce((total, value) => total + value, 0);
    for (const [j, value] of exps.entries()) probabilities[row * longest + j] = value / sum;
  }
  return probabilities;
}
