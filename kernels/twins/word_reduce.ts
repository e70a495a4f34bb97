/** One norm a word, from its pieces' norms: `pieces` [words, 2] of (first row, number of pieces) → [words] */
export function wordReduce(
  norms: ArrayLike<number>,
  pieces: ArrayLike<number>,
  how: 'max' | 'mean' | 'first',
): Float64Array {
  return Float64Array.from({ length: pieces.length / 2 }, (_, w) => {
    const own = Array.from(
      { length: pieces[2 * w + 1] as number },
      (_unused, i) => norms[(pieces[2 * w] as number) + i] as number,
    );
    if (how === 'max') return Math.max(...own);
    return how === 'mean' ? own.reduce((sum, norm) => sum + norm, 0) / own.length : (own[0] as number);
  });
}
