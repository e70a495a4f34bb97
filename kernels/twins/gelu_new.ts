/** x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) */
export function geluNew(x: ArrayLike<number>): Float64Array {
  return Float64Array.from(
    x,
    (value) => (value / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3))),
  );
}
