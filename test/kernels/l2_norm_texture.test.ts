import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { l2Norm } from '../../kernels/twins/l2_norm.ts';
import { allclose } from '../allclose.ts';
import { numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, testGpu } from './harness.ts';
import { runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

async function run(x: Float32Array, H: number, robustness = true): Promise<Float32Array> {
  const S = x.length / H;
  const { subgroupSize: LANES } = await testGpu(robustness);
  return runOnTextures('l2_norm_texture', 'y', {
    operands: { x: texture(x, H), y: new Float32Array(S) },
    numbers: { S, H },
    constants: { LANES },
    grid: [S + SPARE],
    robustness,
  });
}

test('is the length of each row', async () => {
  const texels = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(192));
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 60 }),
      texels,
      fc.boolean(),
      seed,
      async (S, quarter, robustness, start) => {
        const H = 4 * quarter;
        const x = numbers(seeded(start), S * H, 3);
        allclose(await run(x, H, robustness), l2Norm(x, { S, H }), { rtol: 1e-6 });
      },
    ),
    { numRuns: 15 },
  );
});

test('a NaN or an infinity stays one, and in its row', async () => {
  const x = new Float32Array(12).fill(1);
  x[5] = Number.NaN;
  x[10] = -Infinity;
  expect([...(await run(x, 4))]).toEqual([2, Number.NaN, Infinity]);
});
