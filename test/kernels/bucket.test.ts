import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { bucket } from '../../kernels/twins/bucket.ts';
import { rankSelect } from '../../kernels/twins/rank_select.ts';
import { threshold } from '../../kernels/twins/threshold.ts';
import { packCuts, ranking } from './cuts.ts';
import { SPARE } from './data.ts';
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
        // A sequence of one token more than there are: a bucket that must stay as it is.
        const spare = { start: norms.length, length: 1, lo: 0, g: 0 };
        const operands = {
          norms: Float32Array.of(...norms, 20),
          ranked: Uint32Array.of(...ranked, 1),
          cuts: packCuts([...cuts, spare]),
          summary,
          buckets: new Uint32Array(norms.length + 1).fill(9),
        };
        const grid = [Math.ceil(longest / 64), cuts.length + SPARE] as const;
        const call = { operands, numbers: { sequences: cuts.length, longest }, grid, robustness };
        if (longest > 0) {
          const expected = Uint32Array.of(...bucket(norms, ranked, cuts, summary), 9);
          expect((await runKernel('bucket', call)).buckets).toEqual(expected);
        }
      },
    ),
    { numRuns: 40 },
  );
});
