import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MOST_SENTENCE_UNITS, splitSentences } from '../../src/text/sentences.ts';

async function sentencesOf(chunks: Iterable<string>): Promise<string[]> {
  const sentences: string[] = [];
  for await (const sentence of splitSentences(chunks)) sentences.push(sentence);
  return sentences;
}

/** The definition: Intl.Segmenter on the whole text. */
function segmented(text: string): string[] {
  const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });
  return Array.from(segmenter.segment(text), ({ segment }) => segment.trim()).filter((sentence) => sentence !== '');
}

/** Cuts a text at places that say how far along they are. */
function chunked(text: string, cuts: readonly number[]): string[] {
  const places = [0, ...cuts.map((cut) => Math.floor(cut * text.length)), text.length].sort((a, b) => a - b);
  return places.slice(1).map((end, i) => text.slice(places[i], end));
}

const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
const fragments = [
  'A cat',
  ' sat',
  '. ',
  '.',
  '! ',
  '? ',
  'e.g. ',
  'the',
  '3.5',
  ' 12 ',
  '...',
  '\n',
  '\r\n',
  '\r',
  '\n\n',
  ' ',
  '\u2028',
];
const hard = [
  '“Yes.” ',
  '(No.) ',
  '. . 1 (',
  '. 7 8 9 ',
  'Dr. Who',
  '。',
  '日本',
  '😀',
  'e\u0301',
  '\u00ad',
  '\u0085',
  '\ufeff',
];
const text = fc.array(fc.constantFrom(...fragments, ...hard), { maxLength: 60 }).map((parts) => parts.join(''));

test('sentences, trimmed, without blank ones', async () => {
  expect(await sentencesOf(['One.  Two!\n\n  Three\r\nfour. \n \n'])).toEqual(['One.', 'Two!', 'Three', 'four.']);
  expect(await sentencesOf([])).toEqual([]);
  expect(await sentencesOf(['', ' \n\t'])).toEqual([]);
});

test('line by line is the same as the whole text at once, wherever chunks end', async () => {
  await fc.assert(
    fc.asyncProperty(text, cuts, async (whole, places) => {
      expect(await sentencesOf(chunked(whole, places))).toEqual(segmented(whole));
    }),
    { numRuns: 500 },
  );
});

describe('a line longer than a block', () => {
  test('is split as the whole line at once', async () => {
    await fc.assert(
      fc.asyncProperty(text, text, cuts, async (first, second, places) => {
        const line = `${first}One went! A${second}`.replaceAll(/[\n\r\u0085\u2028]/g, ' ');
        const long = line.repeat(Math.ceil((1.3 * MOST_SENTENCE_UNITS) / line.length));
        const sentences = await sentencesOf(chunked(long, places));
        const expected = segmented(long);
        expect(sentences.length).toBe(expected.length);
        expect(sentences.findIndex((sentence, i) => sentence !== expected[i])).toBe(-1);
      }),
      { numRuns: 8 },
    );
  });

  test('ends no sentence before a lower-case letter that the next block holds', async () => {
    const filler = 'Aa bb! '.repeat(Math.ceil(MOST_SENTENCE_UNITS / 7)).slice(0, -70);
    const long = `${filler.slice(0, filler.lastIndexOf('Aa'))}Pages etc. ${'1 '.repeat(200)}and so on.`;
    expect((await sentencesOf([long])).at(-1)).toBe(`Pages etc. ${'1 '.repeat(200)}and so on.`);
  });

  test('loses nothing where it has no sentences, and is cut after white space', async () => {
    const long = 'lorem ipsum dolor '.repeat(5000);
    const sentences = await sentencesOf(chunked(long, [0.1, 0.77]));
    expect(sentences.join(' ')).toBe(long.trim());
    expect(sentences.length).toBe(3);
    expect(await sentencesOf(long)).toEqual(sentences);
  });

  test('is never cut inside a character', async () => {
    const sentences = await sentencesOf([`a${'😀'.repeat(MOST_SENTENCE_UNITS)}`]);
    expect(sentences.map((sentence) => sentence.isWellFormed())).toEqual([true, true, true]);
    expect(Math.max(...sentences.map(({ length }) => length))).toBeLessThanOrEqual(MOST_SENTENCE_UNITS);
  });
});

// fault 28
test('what is not yet split stays bounded', async () => {
  let given = 0;
  let taken = 0;
  let mostWaiting = 0;
  function* chunks(): Generator<string> {
    for (let i = 0; i < 2000; i++) {
      mostWaiting = Math.max(mostWaiting, given - taken);
      given += 1000;
      yield 'word '.repeat(200);
    }
  }
  for await (const sentence of splitSentences(chunks())) taken += sentence.length + 1;
  expect(given - taken).toBeLessThanOrEqual(1);
  expect(mostWaiting).toBeLessThanOrEqual(2 * MOST_SENTENCE_UNITS);
});
