import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { tilesFor } from '../../src/bert/tiles.ts';

const HEIGHTS = [32, 16, 12];

function covered(tiles: ReturnType<typeof tilesFor>): number {
  return tiles.reduce((sum, [height, count]) => sum + height * count, 0);
}

test.each([
  [0, []],
  [1, [[12, 1]]],
  [12, [[12, 1]]],
  [13, [[16, 1]]],
  [24, [[12, 2]]],
  [
    26,
    [
      [16, 1],
      [12, 1],
    ],
  ],
  [32, [[32, 1]]],
  [36, [[12, 3]]],
  [128, [[32, 4]]],
])('%i rows', (rows, tiles) => {
  expect(tilesFor(rows, HEIGHTS)).toEqual(tiles);
});

test('any number of rows is covered, by the fewest rows that these heights can make', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5000 }), fc.constantFrom(HEIGHTS, [16, 12], [16]), (rows, heights) => {
      const sums = new Set([0]);
      for (let sum = 0; sum < rows + 40; sum++) if (sums.has(sum)) for (const height of heights) sums.add(sum + height);
      const fewest = Math.min(...[...sums].filter((sum) => sum >= rows));
      expect(covered(tilesFor(rows, heights))).toBe(fewest);
    }),
    { numRuns: 60 },
  );
});
