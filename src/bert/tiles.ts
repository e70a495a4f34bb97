/**
 * Tiles of a matrix product that cover `rows`, as (height, how many), none of them empty: the fewest rows past the end, then the
 * fewest tiles.
 * @param heights tallest first
 */
export function tilesFor(
  rows: number,
  heights: readonly number[],
): readonly (readonly [height: number, count: number])[] {
  const [tallest = 1] = heights;
  // All but the last rows are the tallest tiles' whatever covers the rest best.
  const certain = Math.max(0, Math.floor(rows / tallest) - 2);
  const rest = cover(rows - certain * tallest, heights);
  return heights
    .map((height) => {
      const few = rest.filter((tile) => tile === height).length;
      return [height, height === tallest ? certain + few : few] as const;
    })
    .filter(([, count]) => count > 0);
}

/** The best tiles for a few rows, by trying all. */
function cover(rows: number, heights: readonly number[]): readonly number[] {
  if (rows <= 0) return [];
  const sum = (tiles: readonly number[]): number => tiles.reduce((total, height) => total + height, 0);
  // A tile is never followed by a taller one, so each set of tiles is tried once.
  const covers = heights.map((height, index) => [height, ...cover(rows - height, heights.slice(index))]);
  return covers.reduce((best, tiles) =>
    sum(tiles) < sum(best) || (sum(tiles) === sum(best) && tiles.length < best.length) ? tiles : best,
  );
}
