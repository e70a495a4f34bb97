import * as fc from 'fast-check';
import type { Cut } from '../../kernels/twins/rank_select.ts';
import { seed, seeded } from './data.ts';

/** Norms of a few sequences, as the kernels of the analysis take them. */
export interface Ranking {
  readonly norms: Float32Array;
  readonly ranked: Uint32Array;
  readonly cuts: readonly Cut[];
  readonly longest: number;
}

/** Sequences with empty ones and ones where nothing is ranked among them; few values, so ties, and neighbours one ulp apart. */
export const ranking: fc.Arbitrary<Ranking> = fc
  .record({
    lengths: fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 5 }),
    share: fc.constantFrom(0, 0.1, 0.9, 1),
    values: fc.constantFrom(1, 3, 1000),
    start: seed,
  })
  .map(({ lengths, share, values, start }) => {
    const random = seeded(start);
    const cuts: Cut[] = [];
    const count = lengths.reduce((sum, length) => sum + length, 0);
    const ranked = Uint32Array.from({ length: count }, () => (random() < share ? 1 : 0));
    const bits = Uint32Array.from({ length: count }, () => 0x41a00000 + Math.floor(random() * values)); // from 20 in steps of one ulp
    for (let first = 0, q = 0; q < lengths.length; first += lengths[q++] as number) {
      const length = lengths[q] as number;
      const n = ranked.subarray(first, first + length).reduce((sum, one) => sum + one, 0);
      const g = Math.fround([0, 0.25, random()][Math.floor(random() * 3)] as number);
      cuts.push({ start: first, length, lo: Math.floor(random() * Math.max(1, n)), g });
    }
    return { norms: new Float32Array(bits.buffer), ranked, cuts, longest: Math.max(...lengths) };
  });

/** The cuts as the kernels take them: [sequences, 4] of first row, length, lo, bits of g. */
export function packCuts(cuts: readonly Cut[]): Uint32Array {
  return Uint32Array.from(
    cuts.flatMap(({ start, length, lo, g }) => [
      start,
      length,
      lo,
      new Uint32Array(Float32Array.of(g).buffer)[0] as number,
    ]),
  );
}
