import * as fc from 'fast-check';
import { afterAll, test } from 'vitest';
import { allclose, ROUNDING } from '../allclose.ts';
import { add } from '../../kernels/twins/add.ts';
import { extent, numbers, seed, seeded, SPARE } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(a: Float32Array, b: Float32Array, S: number, N: number): Promise<Float32Array> {
  const y = new Float32Array(S * N);
  return (await runKernel('add', { operands: { a, b, y }, numbers: { S, N }, grid: [Math.ceil(N / 64), S + SPARE] })).y;
}

test('is the sum, rounded once', async () => {
  await fc.assert(
    fc.asyncProperty(extent, extent, seed, async (S, N, start) => {
      const random = seeded(start);
      const [a, b] = [numbers(random, S * N), numbers(random, S * N, 1000)];
      allclose(await run(a, b, S, N), add(a, b), { rtol: ROUNDING });
    }),
    { numRuns: 15 },
  );
});

test('hostile numbers', async () => {
  const a = Float32Array.of(0, -0, 1e-41, 1e30, 1e30, -1e30, 1);
  const b = Float32Array.of(-0, -0, 1e-41, 1e30, -1e30, 1, 1e-30);
  allclose(await run(a, b, 1, 7), add(a, b), { rtol: ROUNDING, atol: 1.2e-38 });
});
