import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { linearWorkgroup } from '../../kernels/linear_workgroup.ts';
import type { LinearTile } from '../../kernels/linear_workgroup.ts';
import type { VectorActivation } from '../../kernels/activation_vector.ts';
import { gelu } from '../../kernels/twins/gelu.ts';
import { geluNew } from '../../kernels/twins/gelu_new.ts';
import { linear } from '../../kernels/twins/linear.ts';
import { relu } from '../../kernels/twins/relu.ts';
import { LARGE_TILES, LINEAR_TILES } from '../../src/bert/workgroup.ts';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { extent, numbers, packHalves, seed, seeded, weights } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

interface Size {
  readonly S: number;
  readonly N: number;
  readonly K: number;
}

const ELEMENTS = ['f32', 'f16', 'bf16'] as const;
/** How W is stored, and robustness: few of the six, for a driver compiles each for seconds. */
const compiled = (tile: LinearTile): fc.Arbitrary<readonly [number, boolean]> =>
  LINEAR_TILES.includes(tile)
    ? fc.constantFrom([0, false] as const, [1, true] as const, [2, false] as const)
    : fc.constant([1, true] as const);

interface How {
  readonly tile: LinearTile;
  readonly storedAs: number;
  readonly activation?: VectorActivation;
  readonly robustness?: boolean;
}

async function run(x: Float32Array, W: Uint32Array, b: Float32Array, size: Size, how: How): Promise<Float32Array> {
  const { tile, storedAs, activation = 'none', robustness = true } = how;
  const source = linearWorkgroup({ tile, element: ELEMENTS[storedAs] ?? 'f32', activation });
  const operands = { x, W, b, y: new Float32Array(size.S * size.N) };
  const grid = [Math.ceil(size.S / tile.rows), Math.ceil(size.N / tile.columns)] as const;
  return (await runKernel(source, { operands, numbers: { ...size, first_row: 0 }, grid, robustness })).y;
}

const TILES = [...new Set([...LINEAR_TILES, ...Object.values(LARGE_TILES)])];

describe.each(TILES.map((tile) => ({ tile, name: `${tile.rows} × ${tile.columns}, ${tile.rowsEach} rows each` })))(
  'tile $name',
  ({ tile }) => {
    test('is x Wᵀ + b', async () => {
      await fc.assert(
        fc.asyncProperty(
          extent,
          extent,
          extent,
          compiled(tile),
          seed,
          async (S, N, k, [storedAs, robustness], start) => {
            const size = { S, N, K: 4 * Math.ceil(k / 4) };
            const random = seeded(start);
            const W = weights(random, N * size.K, storedAs);
            const [x, b] = [numbers(random, S * size.K), numbers(random, N)];
            const y = await run(x, W.words, b, size, { tile, storedAs, robustness });
            allclose(y, linear(x, W.values, b, size), { atol: sumTolerance(size.K, 2, 16) + ROUNDING * 2 * size.K });
          },
        ),
        { numRuns: 4 },
      );
    });

    test('a NaN or an infinity in a row stays one, and in that row', async () => {
      const size = { S: 3, N: 2, K: 4 };
      const W = packHalves(Uint16Array.of(...Array<number>(4).fill(0x3c00), ...Array<number>(4).fill(0x4000)), 1);
      const x = Float32Array.of(1, 1, 1, 1, 1, Number.NaN, 1, 1, 1, 1, 1, Infinity);
      const y = await run(x, W.words, new Float32Array(2), size, { tile, storedAs: 1 });
      expect([...y]).toEqual([4, 8, Number.NaN, Number.NaN, Infinity, Infinity]);
    });
  },
);

const [large, small] = [LINEAR_TILES[0], LINEAR_TILES.at(-1) as LinearTile];

test('a row is the same in every tile, whatever it is packed with', async () => {
  const size = { S: 75, N: 50, K: 120 };
  const random = seeded(3);
  const W = weights(random, size.N * size.K, 1);
  const [x, b] = [numbers(random, size.S * size.K), numbers(random, size.N)];
  const packed = await run(x, W.words, b, size, { tile: large, storedAs: 1 });
  for (const tile of TILES) expect(await run(x, W.words, b, size, { tile, storedAs: 1 })).toEqual(packed);
  for (const s of [0, 17, 74]) {
    const own = x.slice(s * size.K, (s + 1) * size.K);
    const alone = await run(own, W.words, b, { ...size, S: 1 }, { tile: small, storedAs: 1 });
    expect(packed.slice(s * size.N, (s + 1) * size.N)).toEqual(alone);
  }
});

test('widths of BERT', async () => {
  const size = { S: 5, N: 37, K: 3072 };
  const random = seeded(7);
  const W = weights(random, size.N * size.K, 1);
  const [x, b] = [numbers(random, size.S * size.K), numbers(random, size.N)];
  // As for linear: a random walk of K steps of 0.3 or so through 16 + K / 16 roundings, which 4 deviations hold.
  const atol = 4 * Math.sqrt(16 + size.K / 16) * ROUNDING * 0.3 * Math.sqrt(size.K);
  const y = await run(x, W.words, b, size, { tile: small, storedAs: 1 });
  allclose(y, linear(x, W.values, b, size), { atol });
});

test('every finite float16 is widened exactly', async () => {
  const finite = Uint16Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  // Each in one of the four places of its row.
  const W = packHalves(
    Uint16Array.from({ length: 4 * finite.length }, (_, i) =>
      i % 4 === (i >> 2) % 4 ? (finite[i >> 2] as number) : 0,
    ),
    1,
  );
  const size = { S: 1, N: finite.length, K: 4 };
  const bias = new Float32Array(finite.length);
  const x = Float32Array.of(1, 1, 1, 1);
  allclose(await run(x, W.words, bias, size, { tile: large, storedAs: 1 }), linear(x, W.values, bias, size), {});
});

test.each([
  ['gelu', gelu],
  ['gelu_new', geluNew],
  ['relu', relu],
] as const)('%s is applied to the sum', async (activation, twin) => {
  const size = { S: 3, N: 65, K: 8 };
  const random = seeded(11);
  const W = weights(random, size.N * size.K, 0);
  const [x, b] = [numbers(random, size.S * size.K, 2), numbers(random, size.N)];
  const y = await run(x, W.words, b, size, { tile: small, storedAs: 0, activation });
  allclose(y, twin(linear(x, W.values, b, size)), { atol: 1.2 * sumTolerance(size.K, 4), rtol: 1e-6 });
});

test('hostile numbers', async () => {
  const size = { S: 1, N: 3, K: 4 };
  const W = Float32Array.of(1e30, 1e-41, -0, 1, -1e30, 1, 1, 0, 0, 0, 0, 0);
  const x = Float32Array.of(1e8, 1e8, 1, -0);
  const b = Float32Array.of(0, -0, 1e-41);
  const y = await run(x, new Uint32Array(W.buffer), b, size, { tile: small, storedAs: 0 });
  allclose(y, linear(x, W, b, size), { rtol: 1e-6, atol: 1.2e-30 });
});
