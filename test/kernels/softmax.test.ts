import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING } from '../allclose.ts';
import { softmax } from '../../kernels/twins/softmax.ts';
import { alone, batchOf, blockSum, lengths, numbers, seed, seeded, SPARE, withSpareRow } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

interface Size {
  readonly S: number;
  readonly A: number;
  readonly longest: number;
}

async function run(scores: Float32Array, rows: Uint32Array, size: Size, robustness = true): Promise<Float32Array> {
  const operands = { scores, rows: withSpareRow(rows), probabilities: new Float32Array(scores.length) };
  const grid = [Math.ceil(size.S / 64), size.A + SPARE] as const;
  return (await runKernel('softmax', { operands, numbers: { ...size }, grid, robustness })).probabilities;
}

/** exp is wrong by about |x| roundings of its argument x, which is −2 · largest at the least. */
function tolerance(largest: number, longest: number): { rtol: number; atol: number } {
  return { rtol: (4 * largest + 2 * Math.ceil(longest / 32) + 40) * ROUNDING, atol: 1e-37 };
}

test('sums to 1 over each sequence, and reads and writes nothing past its end', async () => {
  await fc.assert(
    fc.asyncProperty(
      lengths,
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(1e-3, 1, 20, 1000),
      fc.boolean(),
      seed,
      async (sequences, A, largest, robustness, start) => {
        const random = seeded(start);
        const { table, rows: S, longest } = batchOf(random, sequences);
        const size = { S, A, longest };
        const scores = numbers(random, A * S * longest, largest);
        const expected = softmax(scores, table, size);
        for (const [i] of scores.entries()) {
          const s = Math.floor(i / longest) % S;
          if (i % longest >= (table[4 * s + 3] as number)) scores[i] = Number.NaN;
        }
        allclose(await run(scores, table, size, robustness), expected, tolerance(largest, longest));
      },
    ),
    { numRuns: 15 },
  );
});

test('hostile numbers: exp would overflow, one score outweighs all, all are equal', async () => {
  const { table } = batchOf(seeded(0), [4, 4, 4]);
  const scores = Float32Array.of(1e30, -1e30, 0, 1e30, 89, 88, -0, 1e-41, -3e38, -3e38, -3e38, -3e38);
  const size = { S: 3, A: 1, longest: 4 };
  allclose(await run(scores, table, size), softmax(scores, table, size), { rtol: 2e-6, atol: 1e-37 });
});

test('a NaN among the scores makes the whole row NaN', async () => {
  const { table } = batchOf(seeded(0), [3]);
  const scores = Float32Array.of(1, Number.NaN, 2, 1, 2, 3, Number.NaN, 0, 0);
  const probabilities = await run(scores, table, { S: 3, A: 1, longest: 3 });
  expect([...probabilities].map((p) => Number.isNaN(p))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    true,
    true,
    true,
  ]);
});

test('the sum is taken in blocks of 32', async () => {
  const random = seeded(29);
  const scores = Float32Array.from({ length: 200 }, (_, j) => (j === 0 ? 0 : -17.4 - random()));
  // exp as this driver has it: beside 1 it is lost in the sum, so the weight of such a score beside one of 0 is its exponential.
  const pairs = Float32Array.from({ length: 4 * 200 }, (_, i) => (i % 2 === 0 ? 0 : (scores[i >> 2] as number)));
  const { table } = batchOf(random, Array<number>(200).fill(2));
  const weights = await run(pairs, table, { S: 400, A: 1, longest: 2 });
  const exponentials = Array.from({ length: 200 }, (_, j) => (j === 0 ? 1 : (weights[4 * j + 1] as number)));
  // The same scores in 200 rows of which each is one longer than the one before.
  const rows = Float32Array.from({ length: 200 * 200 }, (_, i) => scores[i % 200] as number);
  const growing = Uint32Array.from({ length: 4 * 200 }, (_, i) => (i % 4 === 3 ? (i >> 2) + 1 : 0));
  const probabilities = await run(rows, growing, { S: 200, A: 1, longest: 200 });
  for (let s = 0; s < 200; s++)
    expect(probabilities[200 * s]).toBe(Math.fround(1 / blockSum(exponentials.slice(0, s + 1), 32)));
});

test('a sequence does not depend on what it is packed with', async () => {
  const A = 3;
  const random = seeded(13);
  const batch = batchOf(random, [5, 40, 90, 1]);
  const size = { S: batch.rows, A, longest: batch.longest };
  const scores = numbers(random, A * size.S * size.longest, 5);
  const packed = await run(scores, batch.table, size);
  for (const { start, length } of batch.sequences) {
    const own = await run(alone(scores, size, start, length), batchOf(random, [length]).table, {
      S: length,
      A,
      longest: length,
    });
    expect(alone(packed, size, start, length)).toEqual(own);
  }
});
