/** Drawn quantities: the bar of a margin to θ, and the flow of one token through the layers. */

/** Half-widths, in percent, that a bar's axis may have: the least that holds every ranked token is taken. */
const SCALES = [0.1, 0.2, 0.5, 1, 2, 3, 5, 8, 10, 12, 15, 20, 30, 50, 80, 100];

/** Half-width of the axis in percent, such that all margins (in percent, of either sign) fit; 100 where none does. */
export function axisFor(margins: Iterable<number>): number {
  let greatest = 0;
  for (const margin of margins) greatest = Math.max(greatest, Math.abs(margin));
  return SCALES.find((scale) => scale >= greatest) ?? 100;
}

/**
 * A bar that grows from θ in the middle: to the right above it, to the left below. Its length is the margin, so that two
 * bars compare as their margins do; TAS itself spans little and a bar from zero would show nothing, one from elsewhere
 * would lie. Half a column is the least that is drawn; ◂ and ▸ end a bar that leaves the axis.
 * @param half columns on each side of θ
 * @returns `2 × half + 1` columns
 */
export function marginBar(margin: number, axis: number, half: number): string {
  const halves = Math.round((Math.abs(margin) / axis) * half * 2);
  const full = Math.min(half, halves >> 1);
  const beyond = Math.abs(margin) > axis;
  const partial = full < half && halves % 2 === 1;
  if (margin < 0) {
    const bar = beyond ? `◂${'█'.repeat(half - 1)}` : (partial ? '▐' : '') + '█'.repeat(full);
    return `${bar.padStart(half)}│${' '.repeat(half)}`;
  }
  const bar = beyond ? `${'█'.repeat(half - 1)}▸` : '█'.repeat(full) + (partial ? '▌' : '');
  return `${' '.repeat(half)}│${bar.padEnd(half)}`;
}

/** The line above the bars: the ends of the axis and θ, in `2 × half + 1` columns. */
export function barHeading(axis: number, half: number): string {
  const left = clipTo(`−${axis} %`, half);
  const right = clipTo(`+${axis} %`, half);
  return `${left.padEnd(half)}θ${right.padStart(half)}`;
}

function clipTo(label: string, columns: number): string {
  return label.length <= columns ? label : '';
}

const LEVELS = '▁▂▃▄▅▆▇█';

/** One column a value, between the least (▁) and the greatest (█) of the axis; values beyond it are drawn at its ends. */
export function sparkline(values: ArrayLike<number>, least: number, greatest: number): string {
  const span = greatest - least;
  return Array.from(values, (value) => {
    const level = span > 0 ? Math.floor(((value - least) / span) * LEVELS.length) : 0;
    return LEVELS[Math.min(LEVELS.length - 1, Math.max(0, level))];
  }).join('');
}
