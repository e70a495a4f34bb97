import * as fc from 'fast-check';
import { afterAll, test } from 'vitest';
import { embeddings } from '../../kernels/twins/embeddings.ts';
import { allclose } from '../allclose.ts';
import { batchOf, element, lengths, numbers, seed, seeded, weights } from './data.ts';
import { closeGpus } from './harness.ts';
import { runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

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
        const [position, tokenType] = [numbers(random, longest * H), numbers(random, types * H)];
        const y = await runOnTextures('embeddings_texture', 'y', {
          operands: {
            rows: table,
            word: word.words,
            position,
            token_type: tokenType,
            y: texture(new Float32Array(S * H), H),
          },
          numbers: { S, H },
          constants: { ELEMENT },
          grid: [Math.ceil(H / 256), S],
          robustness,
        });
        allclose(y, embeddings(table, word.values, position, tokenType, { S, H }), { atol: 5e-7 });
      },
    ),
    { numRuns: 10 },
  );
});
