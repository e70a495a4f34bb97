import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { TILE_ROWS, attentionSubgroup } from '../../kernels/attention_subgroup.ts';
import { attentionContext } from '../../kernels/twins/attention_context.ts';
import { attentionScores } from '../../kernels/twins/attention_scores.ts';
import type { AttentionSize } from '../../kernels/twins/attention_scores.ts';
import { softmax } from '../../kernels/twins/softmax.ts';
import type { Batch } from '../../src/bert/batch.ts';
import { queryTiles } from '../../src/bert/fused.ts';
import { allclose } from '../allclose.ts';
import { batchOf, lengths, numbers, seed, seeded } from './data.ts';
import { closeGpus, testGpu } from './harness.ts';
import { runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

/** Heads and the size of one: half a subgroup's texels, a texel more than whole ones, BERT's. */
const heads = fc.record({ A: fc.integer({ min: 1, max: 3 }), D: fc.constantFrom(4, 8, 36, 64) });

interface Rows {
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
}

function twin({ query, key, value }: Rows, { table }: Batch, size: AttentionSize): Float64Array {
  return attentionContext(softmax(attentionScores(query, key, table, size), table, size), value, table, size);
}

describe.each(['vectors', 'scalars'] as const)('attention_subgroup, %s', (dialect) => {
  /** query, key and value side by side in one texture, as the rung has them. */
  async function run(
    { query, key, value }: Rows,
    batch: Batch,
    { S, H, A, D }: AttentionSize,
    robustness = true,
  ): Promise<Float32Array> {
    const { subgroupSize: lanes } = await testGpu(robustness);
    const stacked = new Float32Array(S * 3 * H);
    for (let s = 0; s < S; s++) {
      for (const [i, matrix] of [query, key, value].entries())
        stacked.set(matrix.subarray(s * H, (s + 1) * H), (3 * s + i) * H);
    }
    const qkv = texture(stacked, 3 * H);
    const tiles = queryTiles(batch, TILE_ROWS[dialect]);
    return runOnTextures(attentionSubgroup({ dialect, lanes, headSize: D }), 'context', {
      operands: { query: qkv, key: qkv, value: qkv, tiles, context: texture(new Float32Array(S * H), H) },
      numbers: { query: 0, key: H / 4, value: H / 2 },
      grid: [tiles.length / 4, A],
      robustness,
    });
  }

  function draw(random: () => number, sequences: readonly number[], { A, D }: { A: number; D: number }, largest = 1) {
    const batch = batchOf(random, sequences);
    const size = { S: batch.rows, H: A * D, A, D, longest: batch.longest };
    const matrix = (): Float32Array => numbers(random, size.S * size.H, largest);
    return { batch, size, rows: { query: matrix(), key: matrix(), value: matrix() } };
  }

  test('is scores, softmax and context in one', async () => {
    await fc.assert(
      fc.asyncProperty(lengths, heads, fc.boolean(), seed, async (sequences, shape, robustness, start) => {
        const { batch, size, rows } = draw(seeded(start), sequences, shape);
        allclose(await run(rows, batch, size, robustness), twin(rows, batch, size), { atol: 4e-6 });
      }),
      { numRuns: 10 },
    );
  });

  test('scores whose exponentials overflow unless the maximum is subtracted, rising from block to block', async () => {
    const { batch, size, rows } = draw(seeded(11), [70], { A: 1, D: 8 }, 1);
    for (let s = 0; s < size.S; s++) {
      for (let d = 0; d < size.D; d++) {
        rows.query[s * size.D + d] = s % 2 === 0 ? 30 : -30;
        rows.key[s * size.D + d] = s / 10;
      }
    }
    allclose(await run(rows, batch, size), twin(rows, batch, size), { atol: 1e-4 });
  });

  test('a sequence does not depend on what it is packed with', async () => {
    const { batch, size, rows } = draw(seeded(17), [5, 40, 90, 1, 33], { A: 2, D: 64 });
    const packed = await run(rows, batch, size);
    for (const { start, length } of batch.sequences) {
      const own = (matrix: Float32Array): Float32Array => matrix.slice(start * size.H, (start + length) * size.H);
      const alone = { query: own(rows.query), key: own(rows.key), value: own(rows.value) };
      const context = await run(alone, batchOf(seeded(0), [length]), { ...size, S: length, longest: length });
      expect(own(packed)).toEqual(context);
    }
  });

  test('nothing outside a sequence is read', async () => {
    const { batch, size, rows } = draw(seeded(19), [6, 9, 70], { A: 2, D: 64 });
    const expected = await run(rows, batch, size);
    const [from, to] = [6 * size.H, 15 * size.H];
    for (const matrix of Object.values(rows) as Float32Array[]) matrix.fill(Number.NaN, from, to);
    const context = await run(rows, batch, size);
    expect(context.slice(0, from)).toEqual(expected.slice(0, from));
    expect(context.slice(from, to).every(Number.isNaN)).toBe(true);
    expect(context.slice(to)).toEqual(expected.slice(to));
  });

  test.each([
    ['NaN', Number.NaN, 1],
    ['−∞', -1e30, 1e30],
  ])('a score that is %s, among others that are not, makes its row NaN, and no other', async (_what, key, query) => {
    const { batch, size, rows } = draw(seeded(3), [40, 2], { A: 1, D: 4 });
    rows.key[4 * 33] = key;
    rows.query[4 * 41] = Number.NaN;
    for (let s = 0; s < 40; s++) rows.query[4 * s] = s === 7 ? query : 0;
    const context = await run(rows, batch, size);
    const found = [...Array(42).keys()].filter((s) => context.slice(4 * s, 4 * s + 4).every(Number.isNaN));
    // 0 · NaN is NaN too, so a key's NaN reaches every row of its sequence; a score overflows in one row only.
    expect(found).toEqual(Number.isNaN(key) ? [...Array(40).keys(), 41] : [7, 41]);
    expect(context.filter(Number.isNaN).length).toBe(4 * found.length);
  });
});
