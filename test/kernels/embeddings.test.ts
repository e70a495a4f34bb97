import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING } from '../allclose.ts';
import { embeddings } from '../../kernels/twins/embeddings.ts';
import {
  batchOf,
  element,
  extent,
  lengths,
  numbers,
  packHalves,
  seed,
  seeded,
  SPARE,
  weights,
  withSpareRow,
} from './data.ts';
import type { StoredWeights } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

interface Tables {
  readonly rows: Uint32Array;
  readonly word: StoredWeights;
  readonly position: Float32Array;
  readonly token_type: Float32Array;
}

async function run(
  { rows, word, position, token_type }: Tables,
  S: number,
  H: number,
  ELEMENT: number,
): Promise<Float32Array> {
  const operands = { rows: withSpareRow(rows), word: word.words, position, token_type, y: new Float32Array(S * H) };
  return (
    await runKernel('embeddings', {
      operands,
      numbers: { S, H },
      constants: { ELEMENT },
      grid: [Math.ceil(H / 64), S + SPARE],
    })
  ).y;
}

test('adds up what id, position and type look up', async () => {
  await fc.assert(
    fc.asyncProperty(lengths, extent, element, seed, async (sequences, H, ELEMENT, start) => {
      const random = seeded(start);
      const { table: rows, rows: S, longest } = batchOf(random, sequences, 50, 3);
      const word = weights(random, 50 * H, ELEMENT);
      const [position, token_type] = [numbers(random, longest * H), numbers(random, 3 * H)];
      const expected = embeddings(rows, word.values, position, token_type, { S, H });
      allclose(await run({ rows, word, position, token_type }, S, H, ELEMENT), expected, { atol: 4 * 2 * ROUNDING });
    }),
    { numRuns: 20 },
  );
});

test('every finite float16 is widened exactly', async () => {
  const finite = Uint16Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  const word = packHalves(finite, 1);
  const H = finite.length;
  const zeros = new Float32Array(H);
  const y = await run({ rows: Uint32Array.of(0, 0, 0, 1), word, position: zeros, token_type: zeros }, 1, H, 1);
  allclose(y, word.values, {});
});

test('a weight that is not finite stays so', async () => {
  const word = packHalves(Uint16Array.of(0x7c00, 0xfc00, 0x7e01, 0x7bff), 1);
  const zeros = new Float32Array(4);
  const y = await run({ rows: Uint32Array.of(0, 0, 0, 1), word, position: zeros, token_type: zeros }, 1, 4, 1);
  expect([...y]).toEqual([Infinity, -Infinity, Number.NaN, 65_504]);
});
