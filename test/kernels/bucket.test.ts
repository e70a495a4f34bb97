import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { bucket } from '../../kernels/twins/bucket.ts';
import { rankSelect } from '../../kernels/twins/rank_select.ts';
import { threshold } from '../../kernels/twins/threshold.ts';
import { packCuts, ranking } from './cuts.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

test('every token on its side of the cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      ranking,
      fc.boolean(),
      fc.boolean(),
      async ({ norms, ranked, cuts, longest }, exclusive, robustness) => {
        const selected = rankSelect(norms, ranked, cuts);
        const summary = Float32Array.from(threshold(norms, ranked, cuts, selected, { exclusive }));
        const operands = {
          norms,
          ranked,
          cuts: packCuts(cuts),
          summary,
          buckets: new Uint32Array(norms.length).fill(9),
        };
        const grid = [Math.ceil(longest / 64), cuts.length] as const;
        const call = { operands, numbers: { sequences: cuts.length, longest }, grid, robustness };
        if (longest > 0)
          expect((await runKernel('bucket', call)).buckets).toEqual(bucket(norms, ranked, cuts, summary));
      },
    ),
    { numRuns: 40 },
  );
});
