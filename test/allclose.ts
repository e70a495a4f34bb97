/** How far `actual` may be from `expected`: |actual − expected| ≤ atol + rtol · |expected|. */
export interface Tolerance {
  readonly atol?: number;
  readonly rtol?: number;
}

/**
 * Holds every number of `actual` against `expected`. Infinities must be equal; NaN is close to nothing.
 * @throws Error with the worst index, both values, and how many times the tolerance they are apart.
 */
export function allclose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol = 0, rtol = 0 }: Tolerance,
  what = 'values',
): void {
  if (actual.length !== expected.length)
    throw new Error(`${what}: ${actual.length} numbers, expected ${expected.length}`);
  let worst = -1;
  let times = 1;
  let out = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (a === e) continue;
    const ratio = Math.abs(a - e) / (atol + rtol * Math.abs(e));
    if (ratio <= 1) continue;
    out++;
    if (worst < 0 || !(ratio <= times)) [worst, times] = [i, ratio];
  }
  if (worst < 0) return;
  throw new Error(
    `${what}: ${out} of ${expected.length} numbers are out of tolerance (atol ${atol}, rtol ${rtol}); worst at ${worst}: ` +
      `${actual[worst]}, expected ${expected[worst]}, ${times.toPrecision(3)} × the tolerance`,
  );
}

/** Half the distance from 1 to the next float32: the largest relative error of one rounding. */
export const ROUNDING = 2 ** -24;

/**
 * The largest error of a float32 sum of `terms` numbers of at most `largest` each, taken in blocks of `block`: each number goes through
 * at most block + terms / block additions and one multiplication (Higham 1993, "The accuracy of floating point summation").
 */
export function sumTolerance(terms: number, largest: number, block = 32): number {
  const roundings = Math.min(terms, block) + Math.ceil(terms / block) + 1;
  return roundings * ROUNDING * terms * largest + 1e-37; // numbers below 1.2e-38 may be flushed to 0
}
