import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { linear } from '../../kernels/twins/linear.ts';
import { blockSum, element, extent, numbers, packHalves, seed, seeded, SPARE, weights } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

interface Size {
  readonly S: number;
  readonly N: number;
  readonly K: number;
}

interface Rung {
  readonly name: string;
  /** K is a multiple of this. */
  readonly step: number;
  readonly grid: (size: Size) => readonly [number, number];
}

const RUNGS: readonly Rung[] = [
  { name: 'linear', step: 1, grid: ({ S, N }) => [Math.ceil(N / 64), S + SPARE] },
  { name: 'linear_tiled', step: 4, grid: ({ S, N }) => [Math.ceil(N / 32), Math.ceil(S / 32) + SPARE] },
];

describe.each(RUNGS)('$name', ({ name, step, grid }) => {
  async function run(
    x: Float32Array,
    W: Uint32Array,
    b: Float32Array,
    size: Size,
    ELEMENT: number,
    robustness = true,
  ): Promise<Float32Array> {
    const operands = { x, W, b, y: new Float32Array(size.S * size.N) };
    return (
      await runKernel(name, { operands, numbers: { ...size }, constants: { ELEMENT }, grid: grid(size), robustness })
    ).y;
  }

  test('is x Wᵀ + b', async () => {
    await fc.assert(
      fc.asyncProperty(
        extent,
        extent,
        extent,
        element,
        fc.boolean(),
        seed,
        async (S, N, k, ELEMENT, robustness, start) => {
          const size = { S, N, K: step * Math.ceil(k / step) };
          const random = seeded(start);
          const W = weights(random, N * size.K, ELEMENT);
          const [x, b] = [numbers(random, S * size.K), numbers(random, N)];
          const y = await run(x, W.words, b, size, ELEMENT, robustness);
          const atol = sumTolerance(size.K, 2) + ROUNDING * 2 * size.K;
          allclose(y, linear(x, W.values, b, size), { atol });
        },
      ),
      { numRuns: 15 },
    );
  });

  test('widths of BERT', async () => {
    const size = { S: 5, N: 37, K: 3072 };
    const random = seeded(7);
    const W = weights(random, size.N * size.K, 1);
    const [x, b] = [numbers(random, size.S * size.K), numbers(random, size.N)];
    // Roundings point either way, so over many their error grows with the root of their number, as the sum itself does: a random
    // walk of K steps of 0.3 or so, which 4 deviations hold.
    const roundings = 32 + size.K / 32;
    const atol = 4 * Math.sqrt(roundings) * ROUNDING * 0.3 * Math.sqrt(size.K);
    allclose(await run(x, W.words, b, size, 1), linear(x, W.values, b, size), { atol });
  });

  test('products are summed in blocks of 32', async () => {
    const size = { S: 20, N: 1, K: 1000 };
    // One number in four: how the four products of a vec4 are added is the driver's business.
    const x = numbers(seeded(47), size.S * size.K).map((value, i) => (i % 4 === 0 ? value : 0));
    const W = new Uint32Array(new Float32Array(size.K).fill(1).buffer);
    const y = await run(x, W, new Float32Array(1), size, 0);
    expect([...y]).toEqual(
      Array.from({ length: size.S }, (_, s) => blockSum([...x.subarray(s * size.K, (s + 1) * size.K)], 32)),
    );
  });

  test('a weight that is not finite stays so', async () => {
    const { words } = packHalves(Uint16Array.of(0x7c00, 0, 0, 0, 0, 0xfc00, 0, 0, 0, 0, 0x7e01, 0), 1);
    const y = await run(Float32Array.of(1, 1, 1, 1), words, new Float32Array(3), { S: 1, N: 3, K: 4 }, 1);
    expect([...y]).toEqual([Infinity, -Infinity, Number.NaN]);
  });

  test('every finite float16 is widened exactly', async () => {
    const finite = Uint16Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
    const W = packHalves(
      Uint16Array.from({ length: 4 * finite.length }, (_, i) => (i % 4 === i % 3 ? (finite[i >> 2] as number) : 0)),
      1,
    );
    const size = { S: 1, N: finite.length, K: 4 };
    const x = Float32Array.of(1, 1, 1, 1);
    const y = await run(x, W.words, new Float32Array(finite.length), size, 1);
    allclose(y, linear(x, W.values, new Float32Array(finite.length), size), {});
  });

  test('hostile numbers', async () => {
    const size = { S: 1, N: 3, K: 4 };
    const W = Float32Array.of(1e30, 1e-41, -0, 1, -1e30, 1, 1, 0, 0, 0, 0, 0);
    const x = Float32Array.of(1e8, 1e8, 1, -0);
    const b = Float32Array.of(0, -0, 1e-41);
    allclose(await run(x, new Uint32Array(W.buffer), b, size, 0), linear(x, W, b, size), { rtol: 1e-6, atol: 1.2e-30 });
  });

  test('a NaN or an infinity in a row stays one, and in that row', async () => {
    const size = { S: 3, N: 2, K: 4 };
    const W = new Uint32Array(Float32Array.of(1, 1, 1, 1, 2, 2, 2, 2).buffer);
    const x = Float32Array.of(1, 1, 1, 1, 1, Number.NaN, 1, 1, 1, 1, 1, Infinity);
    const y = await run(x, W, new Float32Array(2), size, 0);
    expect([...y]).toEqual([4, 8, Number.NaN, Number.NaN, Infinity, Infinity]);
  });

  test('a row does not depend on what it is packed with', async () => {
    const size = { S: 75, N: 50, K: 120 };
    const random = seeded(3);
    const W = weights(random, size.N * size.K, 1);
    const [x, b] = [numbers(random, size.S * size.K), numbers(random, size.N)];
    const packed = await run(x, W.words, b, size, 1);
    for (const s of [0, 3, 31, 74]) {
      const alone = await run(x.slice(s * size.K, (s + 1) * size.K), W.words, b, { ...size, S: 1 }, 1);
      expect(packed.slice(s * size.N, (s + 1) * size.N)).toEqual(alone);
    }
  });
});
