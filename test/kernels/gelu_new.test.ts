import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose } from '../allclose.ts';
import { geluNew } from '../../kernels/twins/gelu_new.ts';
import { extent, numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(x: Float32Array, S: number, N: number): Promise<Float32Array> {
  const y = new Float32Array(S * N);
  return (await runKernel('gelu_new', { operands: { x, y }, numbers: { S, N }, grid: [Math.ceil(N / 64), S + SPARE] }))
    .y;
}

test('is x / 2 · (1 + tanh u)', async () => {
  await fc.assert(
    fc.asyncProperty(extent, extent, fc.constantFrom(1e-30, 1e-3, 1, 6), seed, async (S, N, largest, start) => {
      const x = numbers(seeded(start), S * N, largest);
      allclose(await run(x, S, N), geluNew(x), { rtol: 4e-7, atol: 2e-7 * Math.min(1, largest) });
    }),
    { numRuns: 15 },
  );
});

test('hostile numbers', async () => {
  const x = Float32Array.of(0, -0, 1e-41, -1e-41, 1e30, -1e30, 3e38, -3e38, 10, -10, 21, -21);
  allclose(await run(x, 1, x.length), geluNew(x), { rtol: 2e-7, atol: 1e-30 });
});

test('a NaN stays one', async () => {
  const [y, other] = await run(Float32Array.of(Number.NaN, 1), 1, 2);
  expect(y).toBeNaN();
  expect(other).not.toBeNaN();
});
