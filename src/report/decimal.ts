/** Whole numbers up to here are float32s with nothing between them. */
const LARGEST_EXACT = 2 ** 24;
/** Below this a float32 is subnormal and may need fewer than six digits. */
const SMALLEST_NORMAL = 2 ** -126;

/**
 * The number whose shortest decimal is the shortest one that gives back the same float32: 19.921756744384766 becomes
 * 19.921757. Nine significant digits always suffice; six are never enough to be wrong, so shorter ones come from these by
 * dropping zeros. A number that is no float32 is returned as it is.
 */
export function shortestDecimal(value: number): number {
  if (Math.fround(value) !== value || (Number.isInteger(value) && Math.abs(value) <= LARGEST_EXACT)) return value;
  for (let digits = Math.abs(value) < SMALLEST_NORMAL ? 1 : 6; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return Number(value.toPrecision(9));
}
