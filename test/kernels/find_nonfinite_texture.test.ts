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
  readonly panels: boolean;
}

/** What the kernel finds in the matrix, and what there is to be found. */
async function find(
  { element, code }: (typeof ELEMENTS)[number],
  { bits, K, panels }: Matrix,
  groups: number,
): Promise<{ found: number; expected: number }> {
  const words = element === 'f32' ? Uint32Array.from(bits) : packHalves(Uint16Array.from(bits), code).words;
  const values = element === 'f32' ? new Float32Array(words.buffer) : packHalves(Uint16Array.from(bits), code).values;
  const perTexel = element === 'f32' ? 4 : 8;
  const N = bits.length / K;
  const x = panels
    ? texture(toPanels(words, K / perTexel), panelExtent(N, K / perTexel)[0] * perTexel, element)
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
  test.each([false, true])(
    'every texel is looked at, every number of one, and nothing beside; panels: %s',
    async (panels) => {
      const perTexel = stored.element === 'f32' ? 4 : 8;
      const K = 6 * perTexel;
      const foundAt = async (at: number): Promise<void> => {
        const bits = Array.from({ length: 32 * K }, (_, i) => (i === at ? EXTREMES[stored.element][1] : 0));
        expect((await find(stored, { bits, K, panels }, 1)).found).toBe(at < bits.length ? at : NONE);
      };
      for (let n = 0; n < perTexel; n++) await foundAt(7 * perTexel + n);
      // A workgroup comes around three times, and looks at 64 texels each time.
      for (const texel of [0, 1, 63, 64, 65, 127, 128, 129, 191, 192]) await foundAt(texel * perTexel + 1);
    },
  );
});
