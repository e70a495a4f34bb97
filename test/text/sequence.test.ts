import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InputError, UsageError } from '../../src/errors.ts';
import { loadTokenizer } from '../../src/text/load.ts';
import { tokenizeSequence } from '../../src/text/sequence.ts';

const tokenizer = await loadTokenizer(fileURLToPath(new URL('../../weights/bert-base-uncased', import.meta.url)));

test('a text that fits', () => {
  const { tokens, windows } = tokenizeSequence(tokenizer, 'Unaffable, [MASK]!', undefined, 'window');
  expect(windows).toEqual([{ start: 0, end: tokens.length }]);
  const rows = tokens.map(({ token, start, end, word, special }) => [token, start, end, word, special]);
  expect(rows).toEqual([
    ['[CLS]', null, null, null, true],
    ['una', 0, 3, 0, false],
    ['##ffa', 3, 6, 0, false],
    ['##ble', 6, 9, 0, false],
    [',', 9, 10, 1, false],
    // Written in the text, so no token of the template.
    ['[MASK]', 11, 17, 2, false],
    ['!', 17, 18, 3, false],
    ['[SEP]', null, null, null, true],
  ]);
});

test('a pair: each segment with its own offsets and words', () => {
  const { tokens } = tokenizeSequence(tokenizer, 'a b', 'c', 'window');
  expect(tokens.map(({ token, segment, start, word }) => [token, segment, start, word])).toEqual([
    ['[CLS]', 0, null, null],
    ['a', 0, 0, 0],
    ['b', 0, 2, 1],
    ['[SEP]', 0, null, null],
    ['c', 1, 0, 0],
    ['[SEP]', 1, null, null],
  ]);
});

describe('over-long texts', () => {
  const text = 'one two three four five six seven eight nine ten';

  test('in windows every token is there once, in a window that covers it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 3, max: 14 }), fc.nat(11), (maxLength, stride) => {
        fc.pre(stride < maxLength - 2);
        const { tokens, windows } = tokenizeSequence(tokenizer, text, undefined, 'window', { maxLength, stride });
        expect(tokens.map(({ token }) => token)).toEqual(['[CLS]', ...text.split(' '), '[SEP]']);
        expect(windows.length > 1).toBe(tokens.length > maxLength);
        for (const [i, { window }] of tokens.entries()) {
          expect(i).toBeGreaterThanOrEqual(windows[window].start);
          expect(i).toBeLessThan(windows[window].end);
        }
        expect(windows[0].start).toBe(0);
        expect(windows.at(-1)!.end).toBe(tokens.length);
      }),
    );
  });

  test('windows are counted in tokens of the result', () => {
    const { tokens, windows } = tokenizeSequence(tokenizer, text, undefined, 'window', { maxLength: 8, stride: 2 });
    expect(windows).toEqual([
      { start: 0, end: 7 },
      { start: 5, end: 12 },
    ]);
    expect(tokens.map(({ window }) => window)).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
  });

  test('whole: one piece', () => {
    const { tokens, windows } = tokenizeSequence(tokenizer, 'a '.repeat(3000), undefined, 'whole');
    expect(tokens.length).toBe(3002);
    expect(windows).toEqual([{ start: 0, end: 3002 }]);
  });

  test('refused: on request, as a pair, with a stride that makes no progress', () => {
    expect(() => tokenizeSequence(tokenizer, 'a '.repeat(511), undefined, 'error')).toThrow(
      'text too long: 513 tokens where the model takes 512',
    );
    expect(() => tokenizeSequence(tokenizer, 'a '.repeat(511), 'b', 'window')).toThrow(InputError);
    expect(tokenizeSequence(tokenizer, 'a '.repeat(511), 'b', 'whole').tokens.length).toBe(515);
    expect(() => tokenizeSequence(tokenizer, text, undefined, 'window', { maxLength: 8, stride: 6 })).toThrow(
      UsageError,
    );
  });
});
