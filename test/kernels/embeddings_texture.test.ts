import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { embeddings } from '../../kernels/twins/embeddings.ts';
import { allclose } from '../allclose.ts';
import { batchOf, element, lengths, numbers, packHalves, seed, seeded, SPARE, weights, withSpareRow } from './data.ts';
import type { StoredWeights } from './data.ts';
import { closeGpus } from './harness.ts';
import { runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

interface Tables {
  readonly rows: Uint32Array;
  readonly word: StoredWeights;
  readonly position: Float32Array;
  readonly token_type: Float32Array;
}

async function run(
  { rows, word, position, token_type }: Tables,
  { S, H }: { S: number; H: number },
  ELEMENT: number,
  robustness = true,
): Promise<Float32Array> {
  return runOnTextures('embeddings_texture', 'y', {
    operands: {
      rows: withSpareRow(rows),
      word: word.words,
      position,
      token_type,
      y: texture(new Float32Array(S * H), H),
    },
    numbers: { S, H },
    constants: { ELEMENT },
    grid: [Math.ceil(H / 256), S + SPARE],
    robustness,
  });
}

test("is the sum of a token's three vectors, however the words are stored", async () => {
  const texels = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(192));
  await fc.assert(
    fc.asyncProperty(
      lengths,
      texels,
      element,
      fc.boolean(),
      seed,
      async (sequences, quarter, ELEMENT, robustness, start) => {
        const [V, types, H] = [37, 2, 4 * quarter];
        const random = seeded(start);
        const { table, rows: S, longest } = batchOf(random, sequences, V, types);
        const word = weights(random, V * H, ELEMENT);
        const [position, token_type] = [numbers(random, longest * H), numbers(random, types * H)];
        const y = await run({ rows: table, word, position, token_type }, { S, H }, ELEMENT, robustness);
        allclose(y, embeddings(table, word.values, position, token_type, { S, H }), { atol: 5e-7 });
      },
    ),
    { numRuns: 10 },
  );
});

/** The vector of the only token, added to nothing. */
async function widened(word: StoredWeights): Promise<Float32Array> {
  const H = word.values.length;
  const zeros = new Float32Array(H);
  return run({ rows: Uint32Array.of(0, 0, 0, 1), word, position: zeros, token_type: zeros }, { S: 1, H }, 1);
}

test('every finite float16 is widened exactly', async () => {
  const finite = Uint16Array.from({ length: 65_536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  // A texture has no room for them in one row.
  for (let at = 0; at < finite.length; at += 4096) {
    const word = packHalves(finite.subarray(at, at + 4096), 1);
    allclose(await widened(word), word.values, {});
  }
});

test('a weight that is not finite stays so', async () => {
  const y = await widened(packHalves(Uint16Array.of(0x7c00, 0xfc00, 0x7e01, 0x7bff), 1));
  expect([...y]).toEqual([Infinity, -Infinity, Number.NaN, 65_504]);
});
