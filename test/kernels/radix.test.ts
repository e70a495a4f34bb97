import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { rankSelect } from '../../kernels/twins/rank_select.ts';
import { seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

/** The three digits of a float's bits, highest first: lowest bit and number of bits. */
const DIGITS = [
  [21, 11],
  [10, 11],
  [0, 10],
] as const;

async function select(norms: Float32Array, ranked: Uint32Array, lo: number, groups: number): Promise<number[]> {
  const n = ranked.reduce((sum, one) => sum + one, 0);
  let targets = Uint32Array.of(0, lo, 0, Math.min(lo + 1, n - 1));
  let histogram = new Uint32Array(2 * 2048);
  let selected = new Float32Array(2);
  for (const [shift, width] of DIGITS) {
    const counting = {
      operands: { norms, ranked, targets, histogram },
      numbers: { count: norms.length, shift, width },
      grid: [groups] as const,
    };
    ({ histogram } = await runKernel('radix_histogram', counting));
    const picking = { operands: { targets, histogram, selected }, numbers: { shift }, grid: [1] as const };
    ({ targets, histogram, selected } = await runKernel('radix_pick', picking));
    expect(histogram.every((bin) => bin === 0)).toBe(true);
  }
  return [...selected];
}

/** Norms from 20 up in steps of one ulp, or over all exponents; nine in ten ranked, the first always. */
function corpus(random: () => number, count: number, spread: number): { norms: Float32Array; ranked: Uint32Array } {
  const bits = Uint32Array.from({ length: count }, () =>
    spread > 0 ? 0x41a00000 + Math.floor(random() * spread) : random() * 0x7f800000,
  );
  return { norms: new Float32Array(bits.buffer), ranked: bits.map((_, i) => (i === 0 || random() < 0.9 ? 1 : 0)) };
}

async function check(count: number, spread: number, groups: number, random: () => number): Promise<void> {
  const { norms, ranked } = corpus(random, count, spread);
  const n = ranked.reduce((sum, one) => sum + one, 0);
  const ranks = [0, n - 1, Math.floor(random() * n), Math.floor(0.75 * (n - 1))];
  const lo = ranks[Math.floor(random() * 4)] as number;
  const expected = rankSelect(norms, ranked, [{ start: 0, length: count, lo, g: 0 }]);
  expect(await select(norms, ranked, lo, groups)).toEqual([...expected]);
}

test('selects what sorting selects: ties, neighbours one ulp apart, any exponent', async () => {
  const count = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5000 }));
  await fc.assert(
    fc.asyncProperty(
      count,
      fc.constantFrom(0, 1, 3, 3000),
      fc.integer({ min: 1, max: 40 }),
      seed,
      (n, spread, groups, start) => check(n, spread, groups, seeded(start)),
    ),
    { numRuns: 20 },
  );
});

test('among a million norms', async () => {
  await check(1_000_000, 2_000_000, 256, seeded(3));
});
