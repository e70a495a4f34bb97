import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { layerNormWorkgroup } from '../../kernels/layer_norm_workgroup.ts';
import { add } from '../../kernels/twins/add.ts';
import { layerNorm } from '../../kernels/twins/layer_norm.ts';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { numbers, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

interface Size {
  readonly S: number;
  readonly H: number;
  readonly epsilon: number;
}

/** Of `x`, or of `x` + `residual`. */
async function run(
  x: Float32Array,
  residual: Float32Array | undefined,
  gamma: Float32Array,
  beta: Float32Array,
  { S, H, epsilon }: Size,
  robustness = true,
): Promise<Float32Array> {
  const operands = { x, ...(residual ? { residual } : {}), gamma, beta, y: new Float32Array(x.length) };
  const source = layerNormWorkgroup(H, residual !== undefined);
  return (await runKernel(source, { operands, numbers: { epsilon }, grid: [S], robustness })).y;
}

test('adds, centres and scales each row, far from 0 too', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.constantFrom(16, 100, 252, 256, 260, 768),
      fc.boolean(),
      fc.constantFrom(1e-12, 1e-5),
      fc.constantFrom(0, 3, 1000),
      fc.boolean(),
      seed,
      async (S, H, withResidual, epsilon, offset, robustness, start) => {
        const random = seeded(start);
        const x = numbers(random, S * H).map((value) => value + offset);
        const residual = withResidual ? numbers(random, S * H, 0.5) : undefined;
        const [gamma, beta] = [numbers(random, H), numbers(random, H)];
        // The mean is off by that of a sum; a spread of ±1 or so has a deviation of 0.58 ± 0.1.
        const inMean = sumTolerance(H, 2 + offset) / H + 3 * ROUNDING * (2 + offset);
        const inScale = (Math.min(H, 32) + Math.ceil(H / 32) + 6) * ROUNDING;
        const size = { S, H, epsilon };
        const y = await run(x, residual, gamma, beta, size, robustness);
        const expected = layerNorm(residual ? add(x, residual) : x, gamma, beta, size);
        allclose(y, expected, { atol: 4 * inMean + 3 * inScale });
      },
    ),
    { numRuns: 10 },
  );
});

test('the narrowest rows, and rows of equal numbers: ε keeps the deviation above 0', async () => {
  for (const H of [4, 8, 260]) {
    const x = new Float32Array(3 * H).fill(7);
    const beta = Float32Array.from({ length: H }, (_, h) => h);
    const y = await run(x, undefined, new Float32Array(H).fill(2), beta, { S: 3, H, epsilon: 1e-12 });
    allclose(y, [...beta, ...beta, ...beta], {}, `width ${H}`);
  }
});

test('hostile numbers', async () => {
  const x = Float32Array.of(1e18, -1e18, 0, -0, 1e-41, -1e-41, 1e-20, 0);
  const [gamma, beta] = [new Float32Array(4).fill(1), new Float32Array(4)];
  const size = { S: 2, H: 4, epsilon: 1e-5 };
  const y = await run(x, undefined, gamma, beta, size);
  allclose(y, layerNorm(x, gamma, beta, size), { rtol: 1e-6, atol: 1e-37 });
});

test('a row does not depend on what it is packed with', async () => {
  const [H, epsilon] = [260, 1e-12];
  const random = seeded(5);
  const [x, residual] = [numbers(random, 7 * H), numbers(random, 7 * H)];
  const [gamma, beta] = [numbers(random, H), numbers(random, H)];
  const packed = await run(x, residual, gamma, beta, { S: 7, H, epsilon });
  const own = [x, residual].map((tensor) => tensor.slice(6 * H)) as [Float32Array, Float32Array];
  expect(packed.slice(6 * H)).toEqual(await run(...own, gamma, beta, { S: 1, H, epsilon }));
});

test('a NaN or an infinity makes its row NaN, and no other', async () => {
  const x = Float32Array.of(Number.NaN, 1, 1, 2, 1, Infinity, 2, 3, 3, 4, 5, 6);
  const y = await run(x, undefined, new Float32Array(4).fill(1), new Float32Array(4), { S: 3, H: 4, epsilon: 1e-5 });
  expect([...y].map((value) => Number.isNaN(value))).toEqual(Array.from({ length: 12 }, (_, i) => i < 8));
});
