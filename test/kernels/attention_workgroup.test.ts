import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { attentionStorage, attentionWorkgroup } from '../../kernels/attention_workgroup.ts';
import type { AttentionTile } from '../../kernels/attention_workgroup.ts';
import { attentionContext } from '../../kernels/twins/attention_context.ts';
import { attentionScores } from '../../kernels/twins/attention_scores.ts';
import { softmax } from '../../kernels/twins/softmax.ts';
import type { Batch } from '../../src/bert/batch.ts';
import { queryTiles } from '../../src/bert/fused.ts';
import { ATTENTION_TILES, attentionTile } from '../../src/bert/workgroup.ts';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { batchOf, lengths, numbers, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

/** Shared memory that every adapter has. */
const LEAST = 16_384;

interface Heads {
  readonly A: number;
  readonly D: number;
}

interface Place {
  /** Columns of a row, and those at which query, key and value start. */
  readonly width: number;
  readonly query: number;
  readonly key: number;
  readonly value: number;
}

type Qkv = readonly [query: Float32Array, key: Float32Array, value: Float32Array];

async function run(
  [query, key, value]: Qkv,
  batch: Batch,
  { A, D }: Heads,
  options: { tile?: AttentionTile; place?: Place; robustness?: boolean } = {},
): Promise<Float32Array> {
  const { tile = attentionTile(D, LEAST) as AttentionTile, robustness = true } = options;
  const place = options.place ?? { width: A * D, query: 0, key: 0, value: 0 };
  const tiles = queryTiles(batch, tile.queries);
  const operands = { query, key, value, tiles, context: new Float32Array(batch.rows * A * D) };
  const numbersOf = {
    query: place.query / 4,
    key: place.key / 4,
    value: place.value / 4,
    stride: place.width / 4,
    H: A * D,
  };
  const grid = [tiles.length / 4, A] as const;
  return (await runKernel(attentionWorkgroup(tile, D), { operands, numbers: numbersOf, grid, robustness })).context;
}

function twin([query, key, value]: Qkv, { table, rows: S, longest }: Batch, { A, D }: Heads): Float64Array {
  const size = { S, H: A * D, A, D, longest };
  return attentionContext(softmax(attentionScores(query, key, table, size), table, size), value, table, size);
}

function draw(random: () => number, count: number, largest = 1): Qkv {
  return [numbers(random, count, largest), numbers(random, count, largest), numbers(random, count)];
}

/** A score is wrong by its sum's roundings; a weight by twice that, relative to itself, and exp's own error; values are at most 1. */
function tolerance(D: number, longest: number, largest: number): number {
  const score = sumTolerance(D, largest * largest, D) / Math.sqrt(D);
  return 2 * score + (4 * largest * largest * Math.sqrt(D) + longest + 40) * ROUNDING;
}

test('is the context that scores, softmax and their product with the values make', async () => {
  await fc.assert(
    fc.asyncProperty(
      lengths,
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom([20, false] as const, [64, true] as const),
      fc.constantFrom(1, 3),
      seed,
      async (sequences, A, [D, robustness], largest, start) => {
        const random = seeded(start);
        const batch = batchOf(random, sequences);
        const qkv = draw(random, batch.rows * A * D, largest);
        const context = await run(qkv, batch, { A, D }, { robustness });
        allclose(context, twin(qkv, batch, { A, D }), { atol: tolerance(D, batch.longest, largest) });
      },
    ),
    { numRuns: 6 },
  );
});

test.each([4, 128])('heads of size %i', async (D) => {
  const random = seeded(D);
  const batch = batchOf(random, [7, 33]);
  const qkv = draw(random, batch.rows * D);
  allclose(await run(qkv, batch, { A: 1, D }), twin(qkv, batch, { A: 1, D }), { atol: tolerance(D, 33, 1) });
});

test('every tile, at lengths around its edges', async () => {
  const heads = { A: 2, D: 16 };
  for (const tile of ATTENTION_TILES) {
    const random = seeded(tile.keys);
    const batch = batchOf(random, [1, tile.keys - 1, tile.keys, tile.keys + 1, 2 * tile.queries, 3]);
    const qkv = draw(random, batch.rows * 32);
    allclose(await run(qkv, batch, heads, { tile }), twin(qkv, batch, heads), {
      atol: tolerance(16, batch.longest, 1),
    });
  }
});

test('there is a tile for every head size up to 128 in the shared memory that every adapter has', () => {
  for (let D = 4; D <= 128; D += 4) {
    const tile = attentionTile(D, LEAST) as AttentionTile;
    expect(attentionStorage(tile, D)).toBeLessThanOrEqual(LEAST);
  }
  expect(attentionTile(64, LEAST)).toEqual(ATTENTION_TILES[0]);
});

test('query, key and value side by side give the same as apart, and a sequence the same as alone', async () => {
  const heads = { A: 3, D: 20 };
  const random = seeded(17);
  const batch = batchOf(random, [5, 40, 70, 1]);
  const H = heads.A * heads.D;
  const qkv = draw(random, batch.rows * H);
  const packed = await run(qkv, batch, heads);
  const stacked = new Float32Array(batch.rows * 3 * H);
  for (const [part, x] of qkv.entries())
    for (let row = 0; row < batch.rows; row++) stacked.set(x.subarray(row * H, (row + 1) * H), row * 3 * H + part * H);
  const place = { width: 3 * H, query: 0, key: H, value: 2 * H };
  expect(await run([stacked, stacked, stacked], batch, heads, { place })).toEqual(packed);
  for (const { start, length } of batch.sequences) {
    const own = qkv.map((x) => x.slice(start * H, (start + length) * H)) as unknown as Qkv;
    const alone = await run(own, batchOf(random, [length]), heads);
    expect(packed.slice(start * H, (start + length) * H)).toEqual(alone);
  }
});

test('nothing outside a sequence is read', async () => {
  const heads = { A: 2, D: 20 };
  const H = heads.A * heads.D;
  const batch = batchOf(seeded(0), [6, 9, 70]);
  const qkv = draw(seeded(19), batch.rows * H);
  const expected = await run(qkv, batch, heads);
  const [from, to] = [6 * H, 15 * H];
  for (const matrix of qkv) matrix.fill(Number.NaN, from, to);
  const context = await run(qkv, batch, heads);
  expect(context.slice(0, from)).toEqual(expected.slice(0, from));
  expect(context.slice(from, to).every(Number.isNaN)).toBe(true);
  expect(context.slice(to)).toEqual(expected.slice(to));
});

test('hostile numbers: exp would overflow, one score outweighs all, all are equal', async () => {
  const heads = { A: 1, D: 4 };
  const batch = batchOf(seeded(0), [3, 3]);
  const first = (values: readonly number[]): Float32Array =>
    Float32Array.from(values.flatMap((v) => [v, 0, -0, 1e-41]));
  const qkv: Qkv = [
    first([1e15, -1e15, 0, 1, 1, 1]),
    first([1e15, 1e15, -1e15, 178, 176, -3e38]),
    first([1, 0.5, 2, 1, 0, 7]),
  ];
  allclose(await run(qkv, batch, heads), twin(qkv, batch, heads), { rtol: 1e-6, atol: 1e-6 });
});

test('a score that is not finite makes the whole row NaN, a value its component, and no other sequence is touched', async () => {
  const heads = { A: 2, D: 4 };
  const H = 8;
  const batch = batchOf(seeded(0), [3, 2, 34, 2]);
  const random = seeded(5);
  const [query, key, value] = draw(random, batch.rows * H);
  query[0 * H + 1] = Number.NaN; // row 0, head 0
  query[1 * H + 5] = Infinity; // row 1, head 1
  // Scores of −∞ in head 0 of the second sequence: a weight of 0 would hide them.
  key[4 * H] = -Infinity;
  query[3 * H] = 1;
  query[4 * H] = 1;
  value[5 * H + 2] = Number.NaN; // component 2, the first row after the second sequence
  const context = await run([query, key, value], batch, heads);
  const lost: string[] = [];
  for (const [i, x] of context.entries()) if (Number.isNaN(x)) lost.push(`${Math.floor(i / H)}:${i % H}`);
  const wholeHead = (row: number, head: number): string[] => [0, 1, 2, 3].map((d) => `${row}:${4 * head + d}`);
  const third = Array.from({ length: 34 }, (_, t) => `${5 + t}:2`);
  expect(lost.sort()).toEqual(
    [...wholeHead(0, 0), ...wholeHead(1, 1), ...wholeHead(3, 0), ...wholeHead(4, 0), ...third].sort(),
  );
});
