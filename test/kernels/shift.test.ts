import * as fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { allclose, ROUNDING } from '../allclose.ts';
import { shift } from '../../kernels/twins/shift.ts';
import { blockSum, extent, numbers, seed, seeded } from './data.ts';
import { closeGpus, runKernel } from './harness.ts';

afterAll(closeGpus);

async function run(
  current: Float32Array,
  previous: Float32Array,
  first: Float32Array,
  S: number,
  H: number,
): Promise<Float32Array> {
  const operands = { current, previous, first, shifts: new Float32Array(4 * S) };
  return (await runKernel('shift', { operands, numbers: { S, H }, grid: [Math.ceil(S / 64)] })).shifts;
}

/** One of the four shifts of every row. */
function column(shifts: ArrayLike<number>, c: number): number[] {
  return Array.from(shifts).filter((_, i) => i % 4 === c);
}

test('the four shifts, of states far apart and nearly equal', async () => {
  await fc.assert(
    fc.asyncProperty(extent, extent, fc.constantFrom(1, 1e-2, 1e-5), seed, async (S, H, step, start) => {
      const random = seeded(start);
      const previous = numbers(random, S * H);
      const current = numbers(random, S * H, step).map((value, i) => value + (previous[i] as number));
      const first = numbers(random, S * H);
      const [actual, expected] = [await run(current, previous, first, S, H), shift(current, previous, first, { S, H })];
      const rtol = (Math.min(H, 32) + Math.ceil(H / 32) + 8) * ROUNDING;
      allclose(column(actual, 0), column(expected, 0), { rtol }, 'displacement');
      // What is left of a sum with both signs is off by a share of the displacement, which bounds it.
      allclose(
        column(actual, 1),
        column(expected, 1),
        { atol: 2 * rtol * Math.max(...column(expected, 0)) },
        'norm change',
      );
      // Unit vectors are rounded: their distance is off by about a rounding, and so its square by the distance times that.
      const distance = Math.sqrt(2 * Math.max(...column(expected, 2)));
      allclose(column(actual, 2), column(expected, 2), { rtol, atol: rtol * distance + 4 * rtol ** 2 }, 'rotation');
      allclose(column(actual, 3), column(expected, 3), { rtol }, 'from input');
    }),
    { numRuns: 15 },
  );
});

test('squares are summed in blocks of 32', async () => {
  const [S, H] = [20, 300];
  const current = numbers(seeded(43), S * H, 4095).map(Math.round); // their squares are exact
  const zeros = new Float32Array(S * H);
  const expected = Array.from({ length: S }, (_, s) =>
    Math.fround(
      Math.sqrt(
        blockSum(
          [...current.subarray(s * H, (s + 1) * H)].map((value) => value * value),
          32,
        ),
      ),
    ),
  );
  expect(column(await run(current, zeros, zeros, S, H), 0)).toEqual(expected);
});

test('a state that does not move has no shift', async () => {
  const state = numbers(seeded(1), 3 * 50, 20);
  expect([...(await run(state, state, state, 3, 50))]).toEqual(Array.from({ length: 12 }, () => 0));
});

test('hostile numbers: 0, opposite states, 1e18', async () => {
  const current = Float32Array.of(0, 0, 3, 4, 1e18, 0, 1e-41, 0);
  const previous = Float32Array.of(3, 4, -3, -4, 0, 1e18, 0, 1);
  const first = Float32Array.of(0, -0, 0, 0, 0, 0, 0, 0);
  allclose(await run(current, previous, first, 4, 2), shift(current, previous, first, { S: 4, H: 2 }), {
    rtol: 1e-6,
    atol: 1e-37,
  });
});
