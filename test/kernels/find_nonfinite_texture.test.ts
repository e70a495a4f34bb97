import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { findNonfiniteTexture } from '../../kernels/find_nonfinite_texture.ts';
import { findNonfinite } from '../../kernels/twins/find_nonfinite.ts';
import { panelExtent, toPanels } from '../../src/gpu/panels.ts';
import { packHalves, seed, seeded } from './data.ts';
import { closeGpus } from './harness.ts';
import { ELEMENTS, runOnTextures, texture } from './textures.ts';

afterAll(closeGpus);

const NONE = 0xffffffff;
/** The largest finite number of each element, and infinity, as bits. */
const EXTREMES = { f32: [0x7f7fffff, 0x7f800000], f16: [0x7bff, 0x7c00], bf16: [0x7f7f, 0x7f80] } as const;

test('finds the first of those there are, whatever the grid', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...ELEMENTS),
      fc.record({
        N: fc.integer({ min: 1, max: 40 }),
        k: fc.integer({ min: 1, max: 12 }),
        groups: fc.integer({ min: 1, max: 9 }),
      }),
      fc.record({ bad: fc.integer({ min: 0, max: 3 }), panels: fc.boolean() }),
      seed,
      async ({ element, code }, { N, k, groups }, { bad, panels }, start) => {
        const K = 8 * k;
        const random = seeded(start);
        const [largest, infinity] = EXTREMES[element] as readonly [number, number];
        const sign = element === 'f32' ? 0x80000000 : 0x8000;
        const bits = Array.from(
          { length: N * K },
          () => Math.floor(random() * (largest + 1)) + (random() < 0.5 ? sign : 0),
        );
        for (let i = 0; i < bad; i++) bits[Math.floor(random() * bits.length)] = infinity + ([0, sign, 1][i] as number);
        const words = element === 'f32' ? Uint32Array.from(bits) : packHalves(Uint16Array.from(bits), code).words;
        const values =
          element === 'f32' ? new Float32Array(words.buffer) : packHalves(Uint16Array.from(bits), code).values;
        const perTexel = element === 'f32' ? 4 : 8;
        const x = panels
          ? texture(toPanels(words, K / perTexel), panelExtent(N, K / perTexel)[0] * perTexel, element)
          : texture(words, K, element);
        const found = await runOnTextures(findNonfiniteTexture(element, panels), 'found', {
          operands: { x, found: Uint32Array.of(NONE) },
          numbers: { N, K },
          grid: [groups],
        });
        expect(new Uint32Array(found.buffer)[0]).toBe(findNonfinite(values));
      },
    ),
    { numRuns: 20 },
  );
});
