import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose } from '../allclose.ts';
import { relu } from '../../kernels/twins/relu.ts';
import { extent, numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(x: Float32Array, S: number, N: number): Promise<Float32Array> {
  const y = new Float32Array(S * N);
  return (await runKernel('relu', { operands: { x, y }, numbers: { S, N }, grid: [Math.ceil(N / 64), S + SPARE] })).y;
}

test('keeps what is positive', async () => {
  await fc.assert(
    fc.asyncProperty(extent, extent, seed, async (S, N, start) => {
      const x = numbers(seeded(start), S * N);
      allclose(await run(x, S, N), relu(x), {});
    }),
    { numRuns: 15 },
  );
});

test('hostile numbers', async () => {
  const x = Float32Array.of(0, -0, 1e-41, -1e-41, 1e30, -1e30, Infinity, -Infinity);
  allclose(await run(x, 2, 4), relu(x), { atol: 1.2e-38 });
});

test('a −0 stays one: it is not below 0', async () => {
  expect([...(await run(Float32Array.of(-0, 0), 1, 2))]).toEqual([-0, 0]);
});

test('a NaN stays one', async () => {
  const [y] = await run(Float32Array.of(Number.NaN), 1, 1);
  expect(y).toBeNaN();
});
