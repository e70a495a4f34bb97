import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { quantileCut } from '../../src/analysis/quantile.ts';
import { INTERPOLATIONS } from '../../src/analysis/result.ts';
import type { Interpolation } from '../../src/analysis/result.ts';
import { recorded } from './support.ts';

interface Quantiles {
  readonly cases: [n: number, q: number][];
  /** Where NumPy looks: an order statistic, and the share of the way to the next one. */
  readonly cuts: Record<Interpolation, [lo: number, gamma: number][]>;
}

const { cases, cuts } = await recorded<Quantiles>('quantiles');

test.each(INTERPOLATIONS)('%s cuts where NumPy does', (method) => {
  expect(cuts[method]).toHaveLength(cases.length);
  const actual = cases.map(([n, q]) => quantileCut(method, n, q));
  const expected = cuts[method].map(([lo, g]) => {
    // What differs from an order statistic by float64's rounding is that order statistic.
    if (g < 2 ** -40) return { lo, g: 0 };
    return 1 - g < 2 ** -40 ? { lo: lo + 1, g: 0 } : { lo, g };
  });
  for (const [index, [n, q]] of cases.entries()) expect(actual[index], `n ${n}, q ${q}`).toEqual(expected[index]);
});

test('the cut lies among the values and does not fall as the quantile grows', () => {
  const property = fc.property(
    fc.constantFrom(...INTERPOLATIONS),
    fc.integer({ min: 1, max: 100_000 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    (method, n, one, other) => {
      const [low, high] = [Math.min(one, other), Math.max(one, other)].map((q) => quantileCut(method, n, q));
      for (const { lo, g } of [low, high] as const) {
        expect(Number.isInteger(lo) && lo >= 0 && lo < n && g >= 0 && g < 1).toBe(true);
        expect(g > 0 && lo === n - 1).toBe(false);
      }
      expect((low?.lo ?? 0) + (low?.g ?? 0)).toBeLessThanOrEqual((high?.lo ?? 0) + (high?.g ?? 0));
    },
  );
  fc.assert(property, { numRuns: 1000 });
});
