import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { findNonfinite } from '../../kernels/twins/find_nonfinite.ts';
import { element, packHalves, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

const NONE = 0xffffffff;

async function run(words: Uint32Array, count: number, ELEMENT: number, groups: number): Promise<number> {
  const operands = { words, found: Uint32Array.of(NONE) };
  const { found } = await runKernel('find_nonfinite', {
    operands,
    numbers: { count },
    constants: { ELEMENT },
    grid: [groups],
  });
  return found[0] as number;
}

test('finds the first of those there are, whatever the grid', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2000 }),
      element,
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 40 }),
      seed,
      async (count, ELEMENT, bad, groups, start) => {
        const random = seeded(start);
        const place = (): number => Math.floor(random() * count);
        if (ELEMENT === 0) {
          const x = Float32Array.from({ length: count }, () => (2 * random() - 1) * 3e38);
          for (let i = 0; i < bad; i++) x[place()] = [Number.NaN, Infinity, -Infinity][i] as number;
          expect(await run(new Uint32Array(x.buffer), count, 0, groups)).toBe(findNonfinite(x));
        } else {
          const [largest, infinity] = ELEMENT === 1 ? [0x7bff, 0x7c00] : [0x7f7f, 0x7f80];
          const halves = Uint16Array.from(
            { length: count },
            () => Math.floor(random() * (largest + 1)) | (random() < 0.5 ? 0x8000 : 0),
          );
          for (let i = 0; i < bad; i++) halves[place()] = infinity | ([0, 0x8000, 1][i] as number);
          const { words, values } = packHalves(halves, ELEMENT);
          expect(await run(words, count, ELEMENT, groups)).toBe(findNonfinite(values));
        }
      },
    ),
    { numRuns: 30 },
  );
});

test('the largest and the smallest numbers are finite', async () => {
  const x = Float32Array.of(3.4028234663852886e38, -3.4028234663852886e38, 1e-45, -0);
  expect(await run(new Uint32Array(x.buffer), 4, 0, 1)).toBe(NONE);
});

test('what lies after the last number does not count', async () => {
  expect(await run(Uint32Array.of(0x3c00 | (0x7c00 << 16)), 1, 1, 1)).toBe(NONE);
});

test.each([0, 1, 2])(
  'every number is looked at: each by itself, the last of any count, stored as %i',
  async (ELEMENT) => {
    const infinity = [0x7f800000, 0x7c00, 0x7f80][ELEMENT] as number;
    const runOf = async (count: number, at: number): Promise<number> => {
      const numbers = Array.from({ length: count }, (_, i) => (i === at ? infinity : 0));
      const words = ELEMENT === 0 ? Uint32Array.from(numbers) : packHalves(Uint16Array.from(numbers), ELEMENT).words;
      return run(words, count, ELEMENT, 1);
    };
    for (let count = 1; count <= 17; count++) expect(await runOf(count, count - 1)).toBe(count - 1);
    // A workgroup comes around three times, and looks at 64 runs of four words each time.
    const numbers = ELEMENT === 0 ? 4 : 8;
    for (const four of [0, 1, 63, 64, 65, 127, 128, 129, 191]) {
      expect(await runOf(192 * numbers, four * numbers + 1)).toBe(four * numbers + 1);
    }
  },
);
