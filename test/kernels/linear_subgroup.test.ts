import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { columnsOf, linearSubgroup } from '../../kernels/linear_subgroup.ts';
import type { LinearSubgroup } from '../../kernels/linear_subgroup.ts';
import type { Dialect } from '../../kernels/subgroup.ts';
import { gelu } from '../../kernels/twins/gelu.ts';
import { geluNew } from '../../kernels/twins/gelu_new.ts';
import { linear } from '../../kernels/twins/linear.ts';
import { relu } from '../../kernels/twins/relu.ts';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { panelExtent, toPanels } from '../../src/gpu/panels.ts';
import { numbers, packHalves, seed, seeded, weights } from './data.ts';
import type { StoredWeights } from './data.ts';
import { closeGpus, testGpu } from './harness.ts';
import { ELEMENTS, runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

/** A tile, and whether the weights lie in panels. */
type Tile = Pick<LinearSubgroup, 'rows' | 'vectors'> & { readonly panels?: boolean };

/** The tiles that run, and one that none of the drivers likes. */
const TILES: Record<Dialect, { readonly block: number; readonly tiles: readonly Tile[] }> = {
  vectors: {
    block: 8,
    tiles: [
      { rows: 32, vectors: 1 },
      { rows: 16, vectors: 2 },
      { rows: 12, vectors: 2 },
      { rows: 5, vectors: 1 },
    ],
  },
  scalars: {
    block: 4,
    tiles: [
      { rows: 16, vectors: 1 },
      { rows: 12, vectors: 1 },
    ],
  },
};

interface Size {
  readonly S: number;
  readonly N: number;
  readonly K: number;
}

interface Data {
  readonly x: Float32Array;
  readonly W: StoredWeights;
  readonly b: Float32Array;
  readonly element: LinearSubgroup['element'];
}

function draw(start: number, { S, N, K }: Size, { element, code }: (typeof ELEMENTS)[number]): Data {
  const random = seeded(start);
  return { x: numbers(random, S * K), W: weights(random, N * K, code), b: numbers(random, N), element };
}

describe.each(['vectors', 'scalars'] as const)('linear_subgroup, %s', (dialect) => {
  const { block, tiles } = TILES[dialect];
  // A packed word holds eight numbers of one k; the dialect for sampled textures takes float32, which the rung widens to.
  const elements = dialect === 'vectors' ? ELEMENTS : ELEMENTS.slice(0, 1);

  async function run(
    tile: Tile,
    { S, N, K }: Size,
    { x, W, b, element }: Data,
    activation: LinearSubgroup['activation'] = 'none',
    robustness = true,
    first_row = 0,
  ): Promise<Float32Array> {
    const { subgroupSize: lanes } = await testGpu(robustness);
    const options = { dialect, lanes, panels: false, ...tile, block, element, activation };
    const words = new Uint32Array(W.words.buffer);
    const perTexel = element === 'f32' ? 4 : 8;
    const stored = options.panels ? toPanels(words, K / perTexel) : words;
    const width = options.panels ? panelExtent(N, K / perTexel)[0] * perTexel : K;
    return runOnTextures(linearSubgroup(options), 'y', {
      operands: {
        x: texture(x, K),
        W: texture(element === 'f32' ? new Float32Array(stored.buffer) : stored, width, element),
        b: texture(b, N),
        y: texture(new Float32Array(S * N), N),
      },
      numbers: { S, N, K, first_row },
      grid: [Math.ceil((S - first_row) / tile.rows), Math.ceil(N / columnsOf(options))],
      robustness,
    });
  }

  test('is x Wᵀ + b', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          S: fc.integer({ min: 1, max: 70 }),
          n: fc.integer({ min: 1, max: 50 }),
          k: fc.integer({ min: 1, max: 25 }),
        }),
        fc.constantFrom(...tiles),
        fc.constantFrom(...elements),
        fc.record({ panels: fc.boolean(), robustness: fc.boolean() }),
        seed,
        async ({ S, n, k }, tile, element, { panels, robustness }, start) => {
          const size = { S, N: 4 * n, K: 8 * k };
          const data = draw(start, size, element);
          const y = await run({ ...tile, panels }, size, data, 'none', robustness);
          const atol = sumTolerance(size.K, 2, block) + ROUNDING * 2 * size.K;
          allclose(y, linear(data.x, data.W.values, data.b, size), { atol });
        },
      ),
      { numRuns: 12 },
    );
  });

  test.each([
    ['gelu', gelu],
    ['gelu_new', geluNew],
    ['relu', relu],
  ] as const)('%s as the epilogue', async (activation, twin) => {
    const size = { S: 3, N: 64, K: 8 };
    const random = seeded(23);
    // One product for each output, so that the activation sees any number from −12 to 12.
    const x = new Float32Array(size.S * size.K);
    for (let s = 0; s < size.S; s++) x[s * size.K] = s + 1;
    const W = new Float32Array(size.N * size.K);
    for (let n = 0; n < size.N; n++) W[n * size.K] = (random() - 0.5) * 8;
    const b = new Float32Array(size.N);
    const data = {
      x,
      W: { words: new Uint32Array(W.buffer), values: Float64Array.from(W) },
      b,
      element: 'f32' as const,
    };
    const y = await run(tiles[0] as Tile, size, data, activation);
    const before = Float32Array.from(linear(x, data.W.values, b, size));
    allclose(y, twin(before), { rtol: 3e-6, atol: 3e-7 });
  });

  test('a row has the same bits in every tile, wherever it lies and whatever is beside it', async () => {
    const size = { S: 67, N: 72, K: 768 };
    const data = draw(5, size, elements.at(-1) as (typeof ELEMENTS)[number]);
    const stored = tiles.flatMap((tile) => [tile, { ...tile, panels: true }]);
    const [whole, ...others] = await Promise.all(stored.map((tile) => run(tile, size, data)));
    for (const other of others) expect(other).toEqual(whole);
    for (const s of [0, 13, 66]) {
      const alone = await run(
        tiles[1] as Tile,
        { ...size, S: 1 },
        { ...data, x: data.x.slice(s * size.K, (s + 1) * size.K) },
      );
      expect(alone).toEqual(whole?.slice(s * size.N, (s + 1) * size.N));
    }
  });

  test('starts at the row it is told', async () => {
    const size = { S: 30, N: 8, K: 16 };
    const data = draw(6, size, ELEMENTS[0] as (typeof ELEMENTS)[number]);
    const whole = await run(tiles[0] as Tile, size, data);
    const tail = await run(tiles[1] as Tile, size, data, 'none', true, 17);
    expect(tail.slice(0, 17 * size.N)).toEqual(new Float32Array(17 * size.N));
    expect(tail.slice(17 * size.N)).toEqual(whole.slice(17 * size.N));
  });

  if (dialect === 'vectors') {
    test('every finite float16 is widened exactly', async () => {
      const finite = Uint16Array.from({ length: 65_536 }, (_, bits) => bits).filter(
        (bits) => (bits & 0x7c00) !== 0x7c00,
      );
      const size = { S: 1, N: 4096, K: 16 };
      const b = new Float32Array(size.N);
      // One weight of a row at a time, each at another k, so that nothing is added to it.
      for (let part = 0; part * size.N < finite.length; part++) {
        const halves = new Uint16Array(size.N * size.K);
        for (let n = 0; n < size.N; n++) halves[n * size.K + (n % size.K)] = finite[part * size.N + n] ?? 0;
        const data = { x: new Float32Array(size.K).fill(1), W: packHalves(halves, 1), b, element: 'f16' as const };
        allclose(await run(tiles[0] as Tile, size, data), linear(data.x, data.W.values, b, size), {});
      }
    });
  }

  test('a NaN or an infinity in a row stays one, and in that row', async () => {
    const size = { S: 3, N: 4, K: 8 };
    const x = new Float32Array(size.S * size.K).fill(1);
    x[size.K + 1] = Number.NaN;
    x[2 * size.K + 3] = Infinity;
    const W = new Float32Array(size.N * size.K).fill(2);
    const data = {
      x,
      W: { words: new Uint32Array(W.buffer), values: Float64Array.from(W) },
      b: new Float32Array(4),
      element: 'f32' as const,
    };
    const y = await run(tiles[0] as Tile, size, data);
    expect([...y]).toEqual([...Array(4).fill(16), ...Array(4).fill(Number.NaN), ...Array(4).fill(Infinity)]);
  });
});
