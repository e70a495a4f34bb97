import { erf } from './erf.ts';

/** x / 2 · (1 + erf(x / √2)) */
export function gelu(x: ArrayLike<number>): Float64Array {
  return Float64Array.from(x, (value) => (value / 2) * (1 + erf(value / Math.SQRT2)));
}
