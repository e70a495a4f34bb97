import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { planWindows, type Window } from '../../src/text/windows.ts';

const cases = fc
  .record({ length: fc.nat(400), room: fc.integer({ min: 1, max: 60 }) })
  .chain(({ length, room }) =>
    fc.record({ length: fc.constant(length), room: fc.constant(room), stride: fc.nat(room - 1) }),
  );

test('windows are full but the last, neighbours share the stride, and together they cover the text', () => {
  fc.assert(
    fc.property(cases, ({ length, room, stride }) => {
      const { windows } = planWindows(length, room, stride);
      expect(windows[0].start).toBe(0);
      expect(windows.at(-1)!.end).toBe(length);
      for (const [i, { start, end }] of windows.entries()) {
        const next = windows[i + 1];
        if (next === undefined) {
          expect(end - start).toBeLessThanOrEqual(room);
          continue;
        }
        expect(end - start).toBe(room);
        expect(end - next.start).toBe(stride);
        expect(next.end).toBeGreaterThan(end);
      }
    }),
  );
});

test('every token is reported by the earliest of the windows in which it is farthest from an edge', () => {
  const distance = ({ start, end }: Window, token: number): number => Math.min(token - start, end - 1 - token);
  fc.assert(
    fc.property(cases, ({ length, room, stride }) => {
      const { windows, owner } = planWindows(length, room, stride);
      expect(owner.length).toBe(length);
      for (const [token, window] of owner.entries()) {
        const distances = windows.map((candidate) => distance(candidate, token));
        expect(window).toBe(distances.indexOf(Math.max(...distances)));
      }
    }),
  );
});

test('the windows that BERT has by default', () => {
  const { windows, owner } = planWindows(1000, 510, 128);
  expect(windows).toEqual([
    { start: 0, end: 510 },
    { start: 382, end: 892 },
    { start: 764, end: 1000 },
  ]);
  // Of the 128 tokens that two windows share each gets half.
  expect([445, 446].map((token) => owner[token])).toEqual([0, 1]);
});

test('a text that fits is one window, whatever the stride', () => {
  expect(planWindows(0, 10, 128).windows).toEqual([{ start: 0, end: 0 }]);
  expect(planWindows(10, 10, 128).windows).toEqual([{ start: 0, end: 10 }]);
});

test.each([
  [11, 10, 10],
  [11, 10, 128],
  [11, 0, 0],
  [5, 10, -1],
  [5, 10, 1.5],
  [5, 10, Number.NaN],
])('%d tokens, room for %d, stride %d: refused', (length, room, stride) => {
  expect(() => planWindows(length, room, stride)).toThrow(UsageError);
});
