import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus } from './harness.ts';
import { runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

test('copies columns bit by bit', async () => {
  const extents = fc.record({
    S: fc.integer({ min: 1, max: 60 }),
    before: fc.nat(40),
    N: fc.integer({ min: 1, max: 90 }),
  });
  await fc.assert(
    fc.asyncProperty(extents, fc.boolean(), seed, async ({ S, before, N }, robustness, start) => {
      const columns = 4 * Math.ceil((before + N) / 4);
      const x = numbers(seeded(start), S * columns);
      const y = await runOnTextures('texture_to_buffer', 'y', {
        operands: { x: texture(x, columns), y: new Float32Array(S * N) },
        numbers: { S, N, first: before },
        grid: [Math.ceil(N / 64), S + SPARE],
        robustness,
      });
      expect(y).toEqual(Float32Array.from(y, (_, i) => x[Math.floor(i / N) * columns + before + (i % N)] as number));
    }),
    { numRuns: 10 },
  );
});
