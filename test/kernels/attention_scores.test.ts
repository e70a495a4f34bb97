import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { attentionScores } from '../../kernels/twins/attention_scores.ts';
import type { AttentionSize } from '../../kernels/twins/attention_scores.ts';
import { alone, batchOf, blockSum, heads, lengths, numbers, seed, seeded, SPARE, withSpareRow } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(
  query: Float32Array,
  key: Float32Array,
  rows: Uint32Array,
  size: AttentionSize,
  robustness = true,
): Promise<Float32Array> {
  const { S, A, longest } = size;
  const operands = { query, key, rows: withSpareRow(rows), scores: new Float32Array(A * S * longest) };
  const grid = [Math.ceil(longest / 64), S + SPARE, A + SPARE] as const;
  return (await runKernel('attention_scores', { operands, numbers: { ...size }, grid, robustness })).scores;
}

test('is q kᵀ / √D within each sequence, and nothing past its end', async () => {
  await fc.assert(
    fc.asyncProperty(lengths, heads, fc.boolean(), seed, async (sequences, { A, D }, robustness, start) => {
      const random = seeded(start);
      const { table, rows: S, longest } = batchOf(random, sequences);
      const size = { S, H: A * D, A, D, longest };
      const [query, key] = [numbers(random, S * size.H), numbers(random, S * size.H)];
      const scores = await run(query, key, table, size, robustness);
      const atol = (sumTolerance(D, 1, 16) + 4 * ROUNDING * D) / Math.sqrt(D);
      allclose(scores, attentionScores(query, key, table, size), { atol });
    }),
    { numRuns: 15 },
  );
});

test('hostile numbers', async () => {
  const size = { S: 2, H: 4, A: 1, D: 4, longest: 2 };
  const query = Float32Array.of(1e30, -0, 1e-41, 1, 1e-30, 0, 0, -1e10);
  const key = Float32Array.of(1e8, 1, 1, 1, 0, -0, 1e-41, 1e20);
  const { table } = batchOf(seeded(0), [2]);
  allclose(await run(query, key, table, size), attentionScores(query, key, table, size), { rtol: 5e-7, atol: 1e-37 });
});

test('products are summed in blocks of 16', async () => {
  const D = 64; // √D is exact
  const query = numbers(seeded(19), D);
  const { table } = batchOf(seeded(0), [1]);
  const [score] = await run(query, new Float32Array(D).fill(1), table, { S: 1, H: D, A: 1, D, longest: 1 });
  expect(score).toBe(blockSum([...query], 16) / 8);
});

test('a sequence does not depend on what it is packed with', async () => {
  const [A, D] = [3, 18];
  const random = seeded(11);
  const batch = batchOf(random, [5, 40, 90, 1]);
  const size = { S: batch.rows, H: A * D, A, D, longest: batch.longest };
  const [query, key] = [numbers(random, size.S * size.H), numbers(random, size.S * size.H)];
  const packed = await run(query, key, batch.table, size);
  for (const { start, length } of batch.sequences) {
    const rowsOf = (x: Float32Array): Float32Array => x.slice(start * size.H, (start + length) * size.H);
    const own = await run(rowsOf(query), rowsOf(key), batchOf(random, [length]).table, {
      ...size,
      S: length,
      longest: length,
    });
    expect(alone(packed, size, start, length)).toEqual(own);
  }
});

test('a NaN in a query makes its row NaN, one in a key its column', async () => {
  const size = { S: 2, H: 1, A: 1, D: 1, longest: 2 };
  const { table } = batchOf(seeded(0), [2]);
  const one = await run(Float32Array.of(Number.NaN, 1), Float32Array.of(1, 1), table, size);
  expect([...one]).toEqual([Number.NaN, Number.NaN, 1, 1]);
  const other = await run(Float32Array.of(1, 1), Float32Array.of(Number.NaN, 1), table, size);
  expect([...other]).toEqual([Number.NaN, 1, Number.NaN, 1]);
});
