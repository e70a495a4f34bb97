import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING, sumTolerance } from '../allclose.ts';
import { attentionContext } from '../../kernels/twins/attention_context.ts';
import type { AttentionSize } from '../../kernels/twins/attention_scores.ts';
import { alone, batchOf, blockSum, heads, lengths, numbers, seed, seeded, SPARE, withSpareRow } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(
  probabilities: Float32Array,
  value: Float32Array,
  rows: Uint32Array,
  size: AttentionSize,
  robustness = true,
): Promise<Float32Array> {
  const operands = { probabilities, value, rows: withSpareRow(rows), context: new Float32Array(size.S * size.H) };
  const grid = [Math.ceil(size.H / 64), size.S + SPARE] as const;
  return (await runKernel('attention_context', { operands, numbers: { ...size }, grid, robustness })).context;
}

test("is the weighted sum of a sequence's values, and reads nothing past its end", async () => {
  await fc.assert(
    fc.asyncProperty(lengths, heads, fc.boolean(), seed, async (sequences, { A, D }, robustness, start) => {
      const random = seeded(start);
      const { table, rows: S, longest } = batchOf(random, sequences);
      const size = { S, H: A * D, A, D, longest };
      const [probabilities, value] = [numbers(random, A * S * longest), numbers(random, S * size.H)];
      const expected = attentionContext(probabilities, value, table, size);
      for (const [i] of probabilities.entries()) {
        const s = Math.floor(i / longest) % S;
        if (i % longest >= (table[4 * s + 3] as number)) probabilities[i] = Number.NaN;
      }
      const atol = sumTolerance(longest, 1, 16) + ROUNDING * longest;
      allclose(await run(probabilities, value, table, size, robustness), expected, { atol });
    }),
    { numRuns: 15 },
  );
});

test('hostile numbers', async () => {
  const size = { S: 2, H: 2, A: 1, D: 2, longest: 2 };
  const probabilities = Float32Array.of(1, 1e-41, 0.5, 0.5);
  const value = Float32Array.of(1e30, -0, -1e30, 1e-41);
  const { table } = batchOf(seeded(0), [2]);
  allclose(await run(probabilities, value, table, size), attentionContext(probabilities, value, table, size), {
    rtol: 5e-7,
    atol: 1e-10,
  });
});

test('products are summed in blocks of 16', async () => {
  const [longest, H] = [70, 8];
  const { table } = batchOf(seeded(0), [longest]);
  const value = numbers(seeded(23), longest * H);
  const ones = new Float32Array(longest * longest).fill(1);
  const context = await run(ones, value, table, { S: longest, H, A: 1, D: H, longest });
  const expected = Array.from({ length: H }, (_, h) =>
    blockSum(
      [...value].filter((_number, i) => i % H === h),
      16,
    ),
  );
  expect([...context.subarray(0, H)]).toEqual(expected);
});

test('a sequence does not depend on what it is packed with', async () => {
  const [A, D] = [3, 18];
  const random = seeded(17);
  const batch = batchOf(random, [5, 40, 90, 1]);
  const size = { S: batch.rows, H: A * D, A, D, longest: batch.longest };
  const [probabilities, value] = [numbers(random, A * size.S * size.longest), numbers(random, size.S * size.H)];
  const packed = await run(probabilities, value, batch.table, size);
  for (const { start, length } of batch.sequences) {
    const rowsOf = (x: Float32Array): Float32Array => x.slice(start * size.H, (start + length) * size.H);
    const own = await run(alone(probabilities, size, start, length), rowsOf(value), batchOf(random, [length]).table, {
      ...size,
      S: length,
      longest: length,
    });
    expect(rowsOf(packed)).toEqual(own);
  }
});

test('a NaN stays one, even where its weight is 0', async () => {
  const size = { S: 2, H: 2, A: 1, D: 2, longest: 2 };
  const { table } = batchOf(seeded(0), [2]);
  const context = await run(Float32Array.of(0, 1, 1, 0), Float32Array.of(Number.NaN, 1, 2, 3), table, size);
  expect([...context]).toEqual([Number.NaN, 3, Number.NaN, 1]);
});
