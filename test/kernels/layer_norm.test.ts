import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { layerNorm } from '../../kernels/twins/layer_norm.ts';
import { blockSum, extent, numbers, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

interface Size {
  readonly S: number;
  readonly H: number;
  readonly epsilon: number;
}

async function run(x: Float32Array, gamma: Float32Array, beta: Float32Array, size: Size): Promise<Float32Array> {
  const y = new Float32Array(x.length);
  const operands = { x, gamma, beta, y };
  return (await runKernel('layer_norm', { operands, numbers: { ...size }, grid: [Math.ceil(size.S / 64)] })).y;
}

test('centres and scales each row, far from 0 too', async () => {
  await fc.assert(
    fc.asyncProperty(
      extent,
      fc.integer({ min: 16, max: 200 }),
      fc.constantFrom(1e-12, 1e-5),
      fc.constantFrom(0, 3, 1000),
      seed,
      async (S, H, epsilon, offset, start) => {
        const random = seeded(start);
        const x = numbers(random, S * H).map((value) => value + offset);
        const [gamma, beta] = [numbers(random, H), numbers(random, H)];
        // The mean is off by that of a sum; a spread of ±1 has a deviation of 0.58 ± 0.1 or so.
        const inMean = sumTolerance(H, 1 + offset) / H + 2 * ROUNDING * (1 + offset);
        const inScale = (Math.min(H, 32) + Math.ceil(H / 32) + 6) * ROUNDING;
        const size = { S, H, epsilon };
        allclose(await run(x, gamma, beta, size), layerNorm(x, gamma, beta, size), { atol: 4 * inMean + 3 * inScale });
      },
    ),
    { numRuns: 15 },
  );
});

test('any width down to 1, and rows of equal numbers: ε keeps the deviation above 0', async () => {
  for (const H of [1, 2, 3, 31, 32, 33, 65]) {
    const x = new Float32Array(3 * H).fill(7);
    const gamma = new Float32Array(H).fill(2);
    const beta = Float32Array.from({ length: H }, (_, h) => h);
    const y = await run(x, gamma, beta, { S: 3, H, epsilon: 1e-12 });
    allclose(y, [...beta, ...beta, ...beta], {}, `width ${H}`);
  }
});

test('the mean and the variance are summed in blocks of 32', async () => {
  const [S, H] = [20, 256]; // a power of two divides exactly
  const [gamma, beta] = [new Float32Array(H).fill(1), new Float32Array(H)];
  const row = (x: Float32Array, s: number): number[] => [...x.subarray(s * H, (s + 1) * H)];
  // ε outweighs the variance: the deviation is 2²⁰ exactly, and a 0 becomes the mean.
  const x = numbers(seeded(37), S * H).map((value, i) => (i % H === 0 ? 0 : value));
  const y = await run(x, gamma, beta, { S, H, epsilon: 2 ** 40 });
  for (let s = 0; s < S; s++) expect(y[s * H]).toBe(-blockSum(row(x, s), 32) / H / 2 ** 20);
  // Neighbours that are each other's negatives have a mean of 0, and the squares of integers are exact.
  const integers = numbers(seeded(41), S * H, 4095).map(Math.round);
  const pairs = integers.map((value, i) => (i % 2 === 0 ? value : -(integers[i - 1] as number)));
  const z = await run(pairs, gamma, beta, { S, H, epsilon: 1e-12 });
  for (let s = 0; s < S; s++) {
    const squares = row(pairs, s).map((value) => value * value);
    const deviation = Math.fround(Math.sqrt(blockSum(squares, 32) / H));
    expect(z[s * H]).toBe(Math.fround((pairs[s * H] as number) / deviation));
  }
});

test('hostile numbers', async () => {
  const x = Float32Array.of(1e18, -1e18, 0, -0, 1e-41, -1e-41, 1e-20, 0);
  const [gamma, beta] = [new Float32Array(4).fill(1), new Float32Array(4)];
  const size = { S: 2, H: 4, epsilon: 1e-5 };
  allclose(await run(x, gamma, beta, size), layerNorm(x, gamma, beta, size), { rtol: 1e-6, atol: 1e-37 });
});

test('a row does not depend on what it is packed with', async () => {
  const [H, epsilon] = [100, 1e-12];
  const random = seeded(5);
  const [x, gamma, beta] = [numbers(random, 70 * H), numbers(random, H), numbers(random, H)];
  const packed = await run(x, gamma, beta, { S: 70, H, epsilon });
  const alone = await run(x.slice(66 * H, 67 * H), gamma, beta, { S: 1, H, epsilon });
  expect(packed.slice(66 * H, 67 * H)).toEqual(alone);
});

test('a NaN or an infinity makes its row NaN, and no other', async () => {
  const x = Float32Array.of(Number.NaN, 1, 1, Infinity, 3, 4);
  const y = await run(x, Float32Array.of(1, 1), Float32Array.of(0, 0), { S: 3, H: 2, epsilon: 1e-5 });
  expect([...y].map((value) => Number.isNaN(value))).toEqual([true, true, true, true, false, false]);
});
