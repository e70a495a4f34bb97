import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
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

interface Matrix {
  /** The numbers as bits, row by row. */
  readonly bits: readonly number[];
  readonly K: number;
  /** Rows that the kernel is told of, where there are more. */
  readonly N?: number;
  readonly panels: boolean;
}

/** What the kernel finds in the matrix, and what there is to be found. */
async function find(
  { element, code }: (typeof ELEMENTS)[number],
  { bits, K, N = bits.length / K, panels }: Matrix,
  groups: number,
): Promise<{ found: number; expected: number }> {
  const words = element === 'f32' ? Uint32Array.from(bits) : packHalves(Uint16Array.from(bits), code).words;
  const values = element === 'f32' ? new Float32Array(words.buffer) : packHalves(Uint16Array.from(bits), code).values;
  const perTexel = element === 'f32' ? 4 : 8;
  const x = panels
    ? texture(toPanels(words, K / perTexel), panelExtent(bits.length / K, K / perTexel)[0] * perTexel, element)
    : texture(words, K, element);
  const found = await runOnTextures(findNonfiniteTexture(element, panels), 'found', {
    operands: { x, found: Uint32Array.of(NONE) },
    numbers: { N, K },
    grid: [groups],
  });
  return { found: new Uint32Array(found.buffer)[0] as number, expected: findNonfinite(values) };
}

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
      async (stored, { N, k, groups }, { bad, panels }, start) => {
        const K = 8 * k;
        const random = seeded(start);
        const [largest, infinity] = EXTREMES[stored.element] as readonly [number, number];
        const sign = stored.element === 'f32' ? 0x80000000 : 0x8000;
        const bits = Array.from(
          { length: N * K },
          () => Math.floor(random() * (largest + 1)) + (random() < 0.5 ? sign : 0),
        );
        for (let i = 0; i < bad; i++) bits[Math.floor(random() * bits.length)] = infinity + ([0, sign, 1][i] as number);
        const { found, expected } = await find(stored, { bits, K, panels }, groups);
        expect(found).toBe(expected);
      },
    ),
    { numRuns: 20 },
  );
});

describe.each(ELEMENTS)('stored as $element', (stored) => {
  const perTexel = stored.element === 'f32' ? 4 : 8;
  const infinity = EXTREMES[stored.element][1];

  test.each([false, true])('every texel is looked at, and every number of one; panels: %s', async (panels) => {
    const K = 6 * perTexel;
    const foundAt = async (at: number): Promise<void> => {
      const bits = Array.from({ length: 33 * K }, (_, i) => (i === at ? infinity : 0));
      // The row below the matrix does not count.
      expect((await find(stored, { bits, K, N: 32, panels }, 1)).found).toBe(at < 32 * K ? at : NONE);
    };
    for (let n = 0; n < perTexel; n++) await foundAt(7 * perTexel + n);
    // A workgroup comes around three times, and looks at 64 texels each time.
    for (const texel of [0, 1, 63, 64, 65, 127, 128, 129, 191, 192]) await foundAt(texel * perTexel);
  });

  test.each([15, 16, 17, 32])('rows of %i texels, around the width of a panel', async (texels) => {
    const K = texels * perTexel;
    for (const at of [K - 1, 33 * K, 65 * K + perTexel]) {
      const bits = Array.from({ length: 70 * K }, (_, i) => (i === at ? infinity : 0));
      expect((await find(stored, { bits, K, panels: true }, 3)).found).toBe(at);
    }
  });
});
