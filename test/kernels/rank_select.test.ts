import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { rankSelect } from '../../kernels/twins/rank_select.ts';
import { packCuts, ranking } from './cuts.ts';
import type { Ranking } from './cuts.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run({ norms, ranked, cuts, longest }: Ranking, robustness = true): Promise<number[]> {
  const operands = { norms, ranked, cuts: packCuts(cuts), selected: new Float32Array(2 * cuts.length) };
  const grid = [Math.ceil(Math.max(longest, 1) / 64), cuts.length] as const;
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

test('hostile numbers: 0, denormals, 1e30', async () => {
  const norms = Float32Array.of(1e30, 1e-45, 0, 3e-45, 1e-41, 1e30);
  const ranked = new Uint32Array(6).fill(1);
  for (let lo = 0; lo < 6; lo++) {
    const cuts = [{ start: 0, length: 6, lo, g: 0.5 }];
    expect(await run({ norms, ranked, cuts, longest: 6 })).toEqual([...rankSelect(norms, ranked, cuts)]);
  }
});
