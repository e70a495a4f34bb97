/**
 * Which code points the fast tokenizer of Hugging Face treats how. Frozen, because `\p{…}` follows the Unicode version of
 * the JavaScript engine, and ids must not change with the browser.
 *
 * Source: read off the library `tokenizers` 0.23.3 over all code points (BertNormalizer, BertPreTokenizer).
 */

/** First and last code point of each range, ascending. */
export type Ranges = Uint32Array;

/** @param encoded hexadecimal pairs: distance from the end of the previous range, length − 1. */
function decode(encoded: string): Ranges {
  const numbers = encoded.trim().split(/\s+/);
  const ranges = new Uint32Array(numbers.length);
  let position = 0;
  for (let i = 0; i < numbers.length; i++) {
    position += Number.parseInt(numbers[i], 16);
    ranges[i] = position;
  }
  return ranges;
}

/** Whether a code point lies in one of the ranges. */
export function inRanges(ranges: Ranges, codePoint: number): boolean {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ranges[middle] < codePoint) low = middle + 1;
    else high = middle;
  }
  // `low` is the first bound that is not below the code point: an end where it is odd.
  return low < ranges.length && (low % 2 === 1 || ranges[low] === codePoint);
}

/** What `clean_text` drops: controls, format characters, private use, U+FFFD. Not tab, line feed, carriage return. */
export const REMOVED = decode(`
  0 8 3 1 2 11 60 20 e 0 553 5 17 0 c1 0 32 0 10ff 0 7fd 4 1b 4 32 4 2 9 bf91 18ff 600 0 fa 2 2 0 10c0 0 abe3 3 14d0 7
  c2e87 0 1f 5f ff81 fffd 3 fffd
`);

/** White space: it separates words. `clean_text` removes those of it that are controls before that matters. */
export const SPACE = decode('9 4 13 0 65 0 1b 0 15e0 0 980 a 1e 1 6 0 30 0 fa1 0');

/**
 * What `handle_chinese_chars` sets apart as words of their own. U+2B820–U+2B91F are missing in the library, so here
 * too.
 */
export const IDEOGRAPH = decode('3400 19bf 41 51ff 5901 1ff 10501 a6df 21 111f 101 158f 2951 21f');

/** What `strip_accents` drops after canonical decomposition. */
export const NONSPACING_MARK = decode(`
  300 3f 3 0 3 2a 114 4 10a 2c 2 0 2 1 2 1 2 0 49 a 31 14 11 0 66 6 3 5 3 1 2 3 24 0 1f 1a 5c a 3b 8 23 3 2 8 2 2 2 4
  2c 2 88 1f 38 0 2 0 5 7 5 0 4 6 b 1 1e 0 3b 0 5 3 9 0 15 1 1e 1 3a 0 5 1 5 1 3 2 4 0 1f 1 4 0 c 1 3a 0 5 4 2 1 5 0
  15 1 1e 0 3b 0 3 0 2 3 9 0 9 0 c 1 1f 0 3e 0 d 0 33 0 3e 2 6 1 3 3 8 1 c 1 1e 0 3b 0 3 0 7 0 6 1 15 1 1e 0 40 3 9 0
  15 1 67 0 8 2 2 0 5b 0 3 6 d 7 63 0 3 5 2 1 c 5 4b 1 1c 0 2 0 2 0 38 1 2 0 3 0 2 5 2 0 2 2 2 1 6 5 2 3 2 3 2 3 2 3 2
  3 2 b 2 2 a 0 67 3 2 5 2 1 3 1 1a 1 5 2 11 3 e 0 3 1 7 0 10 0 2c0 2 3b3 2 1e 2 1e 1 1f 1 41 1 2 6 9 0 3 a a 0 2e 2
  9c 0 77 2 5 1 a 0 7 2 dc 1 3 0 3b 0 2 6 2 0 2 0 3 7 7 9 3 0 31 d 43 3 31 0 2 4 2 0 6 0 29 8 d 1 21 3 3 1 2 2 39 0 2
  1 4 0 2 2 3b 7 3 1 99 2 2 c 2 6 5 0 7 0 4 1 c7 35 7 3 2d1 c 5 0 4 b bff 2 8e 0 61 1f 22b 3 6c 1 75d5 0 5 9 21 1 51 1
  111 0 4 0 5 0 1a 1 9e 0 1c 11 35 7 1a a 2f 2 31 0 3 3 3 0 29 0 44 5 3 1 3 1 d 0 9 0 30 0 34 0 2 2 3 1 6 1 2 0 2b 1 9
  0 ef 0 3 0 5 0 4f31 0 2e2 f 11 f 3ce 0 e3 0 96 4 687 2 2 1 6 3 29 2 5 0 a6 1 51b 0 37 e 39 2 32 3 3 1 46 2 25 4 2 0
  3 4 3f 0 d 1 35 8 c 2 63 2 3 0 2 1 a8 0 4 7 16 1 3b 0 4 0 26 6 4 4 13f 5 2 0 5 1 2 1 ef 3 7 1 2 1 1c 1 56 7 3 0 2 1
  6b 0 2 0 3 5 2 0 66 2 3 3 2 4 53c5 4 3c 6 459 3 4d0b 1 14c9 2 12 7 3 6 1f 3 95 2 7bc 36 5 31 9 0 f 0 17 4 2 e e21 6
  c182a ef
`);

/**
 * Each of these is a word of its own. All of ASCII that is neither letter, digit, space nor control is among them.
 */
export const PUNCTUATION = decode(`
  21 e b 6 1b 5 1b 3 23 0 6 0 4 0 b 1 4 0 4 0 2bf 0 9 0 1d3 5 2a 1 34 0 2 0 3 0 3 0 2d 1 15 1 2 1 e 0 3 1 4b 3 67 0 2c
  d ea 2 37 e 20 0 106 1 b 0 180 0 304 0 5b 0 b 1 a9 e 2 0 26 3 48 0 4b 4 5 1 70 5 ac 0 265 8 98 0 26d 1 2d 1 4f 2 48
  1 9e 2 2 2 26 a 13a 1 d9 1 81 6 2 5 ad 6 9c 3 3c 4 3f 1 41 7 c 0 33d 17 9 13 2 c 2 b 1f 1 f 1 27a 3 1e 1 43e d 50 1
  20 9 194 15 40 3 21 1 2fc 3 2 1 71 0 90 2e 2 12 1bf 2 5 9 3 b 11 0 d 0 63 0 5b 0 7403 1 10e 2 64 0 b 0 74 5 17d 3 57
  1 29 2 2 0 32 1 30 0 62 c 11 1 7d 3 7f 1 11 1 fa 0 5153 1 d1 9 17 22 2 d 2 0 5 0 2 1 96 2 2 5 2 3 b 1 4 1 1b 2 2 0
  1c 0 2 0 2 6 19b 2 29d 0 31 0 19f 0 2e8 0 c8 0 20 0 111 8 27 0 71 6 43 6 5a 3 4ab 6 6e 1 2 3 7f 3 31 1 50 4 4 0 e 0
  2 2 59 5 6c 0 21d 0 fb 16 6a 2 f9 2 d32 4 45fa 1 86 0 42 4 9 0 515b 0 1de8 4
`);

/**
 * Characters of Unicode 13 to 16 that JavaScript engines decompose and the library, whose decompositions are older,
 * does not.
 */
export const UNDECOMPOSED = decode('105c9 0 1b 0 d9f 0 2 0 9 0 3 0 34 0 2 1 570 0 47e9 7 c40 2');

/**
 * Lower case of the letters that got one in Unicode 16 and 17, for engines that are older than these. Each: first and last
 * code point, and the distance to the lower-case letter.
 */
const LATE_LOWER_CASE: readonly (readonly [first: number, last: number, distance: number])[] = [
  [0x1c89, 0x1c89, 1],
  [0xa7cb, 0xa7cb, 0x264 - 0xa7cb],
  [0xa7cc, 0xa7cc, 1],
  [0xa7ce, 0xa7ce, 1],
  [0xa7d2, 0xa7d2, 1],
  [0xa7d4, 0xa7d4, 1],
  [0xa7da, 0xa7da, 1],
  [0xa7dc, 0xa7dc, 0x19b - 0xa7dc],
  [0x10d50, 0x10d65, 0x20],
  [0x16ea0, 0x16eb8, 0x1b],
];

/** Lower case of one character, without regard to its neighbours: the library knows no final sigma. */
export function lowerCase(character: string): string {
  const codePoint = character.codePointAt(0)!;
  for (const [first, last, distance] of LATE_LOWER_CASE) {
    if (codePoint >= first && codePoint <= last) return String.fromCodePoint(codePoint + distance);
  }
  return character.toLowerCase();
}
