/** x where it is positive, else 0. */
export function relu(x: ArrayLike<number>): Float64Array {
  return Float64Array.from(x, (value) => (value < 0 ? 0 : value));
}
