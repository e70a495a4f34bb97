import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING } from '../allclose.ts';
import { l2Norm } from '../../kernels/twins/l2_norm.ts';
import { blockSum, extent, numbers, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(x: Float32Array, S: number, H: number): Promise<Float32Array> {
  const y = new Float32Array(S);
  return (await runKernel('l2_norm', { operands: { x, y }, numbers: { S, H }, grid: [Math.ceil(S / 64)] })).y;
}

test('is the Euclidean length of each row', async () => {
  await fc.assert(
    fc.asyncProperty(
      extent,
      fc.oneof(extent, fc.constant(768)),
      fc.constantFrom(1e-10, 1, 1e10),
      seed,
      async (S, H, largest, start) => {
        const x = numbers(seeded(start), S * H, largest);
        // All squares are positive: the relative error is at most half a rounding for each step of the sum, two for square and root.
        const roundings = 2 + (Math.min(H, 32) + Math.ceil(H / 32) + 1) / 2;
        allclose(await run(x, S, H), l2Norm(x, { S, H }), { rtol: roundings * ROUNDING });
      },
    ),
    { numRuns: 15 },
  );
});

test('squares are summed in blocks of 32', async () => {
  const [S, H] = [20, 300];
  const x = numbers(seeded(31), S * H, 4095).map(Math.round); // their squares are exact
  const expected = Array.from({ length: S }, (_, s) =>
    Math.fround(
      Math.sqrt(
        blockSum(
          [...x.subarray(s * H, (s + 1) * H)].map((value) => value * value),
          32,
        ),
      ),
    ),
  );
  expect([...(await run(x, S, H))]).toEqual(expected);
});

test('hostile numbers', async () => {
  const x = Float32Array.of(0, -0, 1e-41, -1e-41, 1e18, 1e-18, -1e18, 0);
  allclose(await run(x, 4, 2), l2Norm(x, { S: 4, H: 2 }), { rtol: 2e-7, atol: 1e-37 });
});

test('a NaN or an infinity stays one', async () => {
  const y = await run(Float32Array.of(Number.NaN, 1, 1, Infinity, 3, 4), 3, 2);
  expect([...y]).toEqual([Number.NaN, Infinity, 5]);
});
