import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { rankSelect } from '../../kernels/twins/rank_select.ts';
import type { Cut } from '../../kernels/twins/rank_select.ts';
import { packCuts, ranking } from './cuts.ts';
import type { Ranking } from './cuts.ts';
import { SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run({ norms, ranked, cuts, longest }: Ranking, robustness = true): Promise<number[]> {
  // One sequence more than is asked for: the first once more.
  const all = packCuts([...cuts, cuts[0] as Cut]);
  const operands = { norms, ranked, cuts: all, selected: new Float32Array(2 * cuts.length) };
  const grid = [Math.ceil(Math.max(longest, 1) / 64), cuts.length + SPARE] as const;
  return [
    ...(await runKernel('rank_select', { operands, numbers: { sequences: cuts.length, longest }, grid, robustness }))
      .selected,
  ];
}

test('selects what sorting selects, ties and all', async () => {
  await fc.assert(
    fc.asyncProperty(ranking, fc.boolean(), async (input, robustness) => {
      expect(await run(input, robustness)).toEqual([...rankSelect(input.norms, input.ranked, input.cuts)]);
    }),
    { numRuns: 40 },
  );
});

test('a sequence without tokens, and one of which none is ranked, select nothing', async () => {
  const norms = Float32Array.of(3, 1, 2, 5, 4);
  const ranked = Uint32Array.of(1, 1, 0, 0, 1);
  const sequences = [
    [0, 0],
    [0, 2],
    [2, 0],
    [2, 2],
    [4, 1],
    [5, 0],
  ] as const;
  const cuts = sequences.map(([start, length]) => ({ start, length, lo: 0, g: 0.5 }));
  expect(await run({ norms, ranked, cuts, longest: 2 })).toEqual([-1, -1, 1, 3, -1, -1, -1, -1, 4, 4, -1, -1]);
});

test('hostile numbers: 0, denormals, 1e30', async () => {
  const norms = Float32Array.of(1e30, 1e-45, 0, 3e-45, 1e-41, 1e30);
  const ranked = new Uint32Array(6).fill(1);
  for (let lo = 0; lo < 6; lo++) {
    const cuts = [{ start: 0, length: 6, lo, g: 0.5 }];
    expect(await run({ norms, ranked, cuts, longest: 6 })).toEqual([...rankSelect(norms, ranked, cuts)]);
  }
});
