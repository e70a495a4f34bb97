import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose } from '../allclose.ts';
import { rankSelect } from '../../kernels/twins/rank_select.ts';
import { threshold } from '../../kernels/twins/threshold.ts';
import { packCuts, ranking } from './cuts.ts';
import type { Ranking } from './cuts.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(
  { norms, ranked, cuts }: Ranking,
  selected: Float32Array,
  exclusive: boolean,
): Promise<Float32Array> {
  const operands = {
    norms,
    ranked,
    cuts: packCuts(cuts),
    selected,
    summary: new Float32Array(8 * cuts.length).fill(7),
  };
  const numbers = { sequences: cuts.length, exclusive: exclusive ? 1 : 0 };
  return (await runKernel('threshold', { operands, numbers, grid: [Math.ceil(cuts.length / 64)] })).summary;
}

/** θ is column 0 and rounded; everything else is exact. */
function compare(actual: Float32Array, expected: Float64Array): void {
  const exact = (summary: ArrayLike<number>): number[] => Array.from(summary).filter((_, i) => i % 8 > 0);
  expect(exact(actual)).toEqual(exact(expected));
  allclose(actual, expected, { rtol: 1.2e-7 }, 'θ');
  for (let q = 0; q < actual.length; q += 8) {
    expect(actual[q]).toBeGreaterThanOrEqual(actual[q + 1] as number);
    expect(actual[q]).toBeLessThanOrEqual(actual[q + 2] as number);
  }
}

test('θ, its order statistics and the two sides of the cut', async () => {
  await fc.assert(
    fc.asyncProperty(ranking, fc.boolean(), async (input, exclusive) => {
      const selected = Float32Array.from(rankSelect(input.norms, input.ranked, input.cuts));
      const expected = threshold(input.norms, input.ranked, input.cuts, selected, { exclusive });
      compare(await run(input, selected, exclusive), expected);
    }),
    { numRuns: 40 },
  );
});

test('a θ that is given: as both order statistics, whether or not a token has it', async () => {
  const input: Ranking = {
    norms: Float32Array.of(19, 20, 21, 30),
    ranked: Uint32Array.of(1, 1, 1, 0),
    cuts: [{ start: 0, length: 4, lo: 0, g: 0 }],
    longest: 4,
  };
  expect([...(await run(input, Float32Array.of(20, 20), false))]).toEqual([20, 20, 20, 19, 20, 3, 2, 0]);
  expect([...(await run(input, Float32Array.of(20, 20), true))]).toEqual([20, 20, 20, 20, 21, 3, 1, 0]);
  expect([...(await run(input, Float32Array.of(22, 22), false))]).toEqual([22, 22, 22, 21, -1, 3, 0, 0]);
  expect([...(await run(input, Float32Array.of(0, 0), false))]).toEqual([0, 0, 0, -1, 19, 3, 3, 0]);
});

test('a θ that is given where nothing is ranked, or only norms of 0 are', async () => {
  const input: Ranking = {
    norms: Float32Array.of(0, 0, 21),
    ranked: Uint32Array.of(1, 0, 0),
    cuts: [
      { start: 0, length: 2, lo: 0, g: 0 },
      { start: 1, length: 2, lo: 0, g: 0 },
      { start: 3, length: 0, lo: 0, g: 0 },
    ],
    longest: 2,
  };
  const summary = await run(input, new Float32Array(6).fill(20), false);
  const none = [-1, -1, -1, -1, -1, 0, 0, 0];
  expect([...summary]).toEqual([20, 20, 20, 0, -1, 1, 0, 0, ...none, ...none]);
});
