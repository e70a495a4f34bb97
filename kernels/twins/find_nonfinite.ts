/** The index of the first NaN or infinity; 0xffffffff where there is none. */
export function findNonfinite(x: ArrayLike<number>): number {
  for (let i = 0; i < x.length; i++) if (!Number.isFinite(x[i])) return i;
  return 0xffffffff;
}
