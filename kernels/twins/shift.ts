/** (‖c − p‖, ‖c‖ − ‖p‖, 1 − cos(c, p), ‖c − f‖) along each row: [S, H] three times → [S, 4] */
export function shift(
  current: ArrayLike<number>,
  previous: ArrayLike<number>,
  first: ArrayLike<number>,
  { S, H }: { S: number; H: number },
): Float64Array {
  const shifts = new Float64Array(4 * S);
  for (let s = 0; s < S; s++) {
    const row = (x: ArrayLike<number>): number[] => Array.from({ length: H }, (_, h) => x[s * H + h] as number);
    const [c, p, f] = [row(current), row(previous), row(first)];
    const minus = (x: number[], y: number[]): number[] => x.map((value, h) => value - (y[h] as number));
    const [long, before] = [Math.hypot(...c), Math.hypot(...p)];
    const unit = (x: number[], length: number): number[] => x.map((value) => value / length);
    const rotation = long === 0 || before === 0 ? 1 : Math.hypot(...minus(unit(c, long), unit(p, before))) ** 2 / 2;
    const change = minus(c, p).reduce((sum, moved, h) => sum + moved * ((c[h] as number) + (p[h] as number)), 0);
    shifts.set(
      [Math.hypot(...minus(c, p)), change === 0 ? 0 : change / (long + before), rotation, Math.hypot(...minus(c, f))],
      4 * s,
    );
  }
  return shifts;
}
