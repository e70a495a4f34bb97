import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING } from '../allclose.ts';
import { wordReduce } from '../../kernels/twins/word_reduce.ts';
import { numbers, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

const HOW = ['max', 'mean', 'first'] as const;

async function run(norms: Float32Array, pieces: Uint32Array, how: (typeof HOW)[number]): Promise<Float32Array> {
  const words = pieces.length / 2;
  const operands = { norms, pieces, y: new Float32Array(words) };
  return (
    await runKernel('word_reduce', {
      operands,
      numbers: { words, how: HOW.indexOf(how) },
      grid: [Math.ceil(words / 64)],
    })
  ).y;
}

test('max, mean and first of the pieces', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.constantFrom(...HOW), seed, async (words, how, start) => {
      const pieces: number[] = [];
      let row = 1; // row 0 is [CLS], of no word
      for (const count of words) {
        pieces.push(row, count);
        row += count;
      }
      const norms = numbers(seeded(start), row + 1, 20).map(Math.abs);
      const tolerance = how === 'mean' ? { rtol: 10 * ROUNDING } : {};
      allclose(await run(norms, Uint32Array.from(pieces), how), wordReduce(norms, pieces, how), tolerance);
    }),
    { numRuns: 30 },
  );
});

test('a NaN among the pieces is not lost', async () => {
  const norms = Float32Array.of(1, Number.NaN, 2);
  for (const how of ['max', 'mean'] as const)
    expect([...(await run(norms, Uint32Array.of(0, 3), how))]).toEqual([Number.NaN]);
});

test('norms of 0 make 0', async () => {
  for (const how of HOW) expect([...(await run(new Float32Array(2), Uint32Array.of(0, 2), how))]).toEqual([0]);
});
