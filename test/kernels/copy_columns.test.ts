import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { extent, numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

test('copies the columns, bit by bit', async () => {
  await fc.assert(
    fc.asyncProperty(extent, extent, extent, extent, seed, async (S, N, first, rest, start) => {
      const width = first + N + rest;
      const x = numbers(seeded(start), S * width);
      x[first] = -0;
      const operands = { x, y: new Float32Array(S * N) };
      const grid = [Math.ceil(N / 64), S + SPARE] as const;
      const { y } = await runKernel('copy_columns', { operands, numbers: { S, N, first, width }, grid });
      const expected = Array.from({ length: S }, (_, s) => [...x.subarray(s * width + first, s * width + first + N)]);
      expect([...y]).toEqual(expected.flat());
    }),
    { numRuns: 5 },
  );
});
