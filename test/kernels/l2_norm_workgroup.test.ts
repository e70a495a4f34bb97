import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { l2NormWorkgroup } from '../../kernels/l2_norm_workgroup.ts';
import { l2Norm } from '../../kernels/twins/l2_norm.ts';
import { allclose, ROUNDING } from '../allclose.ts';
import { numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(x: Float32Array, size: { S: number; H: number }, robustness = true): Promise<Float32Array> {
  const operands = { x, y: new Float32Array(size.S) };
  return (await runKernel(l2NormWorkgroup(), { operands, numbers: size, grid: [size.S + SPARE], robustness })).y;
}

test('is the length of each row', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 30 }),
      fc.constantFrom(4, 100, 252, 256, 260, 768),
      fc.constantFrom(1e-10, 1, 1e10),
      fc.boolean(),
      seed,
      async (S, H, largest, robustness, start) => {
        const x = numbers(seeded(start), S * H, largest);
        const roundings = H / 64 + 20;
        const size = { S, H };
        allclose(await run(x, size, robustness), l2Norm(x, size), { rtol: (roundings + 4) * ROUNDING });
      },
    ),
    { numRuns: 8 },
  );
});

test('hostile numbers, and a NaN or an infinity in its own row only', async () => {
  const x = Float32Array.of(1e18, -1e18, 0, -0, 0, -0, 0, 0, Number.NaN, 1, 1, 1, 1, -Infinity, 1, 1, 3, 0, 4, 0);
  const y = await run(x, { S: 5, H: 4 });
  expect([...y]).toEqual([Math.fround(Math.SQRT2 * 1e18), 0, Number.NaN, Infinity, 5]);
});

test('a row does not depend on what it is packed with', async () => {
  const H = 772;
  const x = numbers(seeded(5), 9 * H);
  const packed = await run(x, { S: 9, H });
  expect(packed.slice(8)).toEqual(await run(x.slice(8 * H), { S: 1, H }));
});
