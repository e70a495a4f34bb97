/**
 * Columns that text takes on a terminal. Graphemes are what a reader sees as one character; East Asian wide characters and
 * emoji take two columns, combining marks none (Unicode Standard Annexes 11 and 29, Technical Standard 51).
 */

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Blocks whose East_Asian_Width is Wide or Fullwidth; emoji are recognised by their own property. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4c6],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6b],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18cff],
  [0x1aff0, 0x1b2fb],
  [0x1f200, 0x1f265],
  [0x20000, 0x3fffd],
];

const PRINTABLE_ASCII = /^[ -~]*$/;
const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Regional_Indicator}{2}|\p{Emoji}\ufe0f)/u;
const NO_COLUMN = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}]$/u;

/** Columns of a text. Control characters count as none: see `printable` for text from outside. */
export function displayWidth(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment);
  return width;
}

function graphemeWidth(grapheme: string): number {
  if (EMOJI.test(grapheme)) return 2;
  let width = 0;
  // Most graphemes are one base and its marks. In scripts where a grapheme holds several bases (Hangul jamo after the
  // first excepted) each base takes its own column.
  for (const character of grapheme) {
    const code = character.codePointAt(0) as number;
    if (NO_COLUMN.test(character) || (code >= 0x1160 && code <= 0x11ff)) continue;
    width += WIDE.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
  }
  return width;
}

/** `text` in at most `columns`, its end replaced by … where it is longer. */
export function clip(text: string, columns: number): string {
  // A text of many more characters than columns need not be segmented to its end to know that it is too long.
  if (text.length <= columns * 8 && displayWidth(text) <= columns) return text;
  let kept = '';
  let width = 0;
  for (const { segment } of graphemes.segment(text)) {
    const next = graphemeWidth(segment);
    if (width + next > columns - 1) return columns > 0 ? `${kept}…` : '';
    kept += segment;
    width += next;
  }
  return kept;
}

/** `text` filled up with spaces to `columns`, on the right side or on the left. */
export function pad(text: string, columns: number, side: 'left' | 'right' = 'right'): string {
  const space = ' '.repeat(Math.max(0, columns - displayWidth(text)));
  return side === 'right' ? text + space : space + text;
}

/**
 * Text from outside, made harmless for a terminal: nothing in it can move the cursor, colour, ring, hide, or turn the
 * direction of writing. Control characters become their pictures (U+001B becomes ␛), white space among them a space;
 * lone surrogates and the invisible controls of direction become �.
 */
export function printable(text: string): string {
  return PRINTABLE_ASCII.test(text) ? text : text.replace(UNSAFE, replacement);
}

// The controls are what this pattern looks for.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ufeff]|\p{Cs}/gu;

function replacement(character: string): string {
  const code = character.charCodeAt(0);
  if (code === 0x09 || code === 0x0a || code === 0x0d || code === 0x2028 || code === 0x2029) return ' ';
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return code === 0x7f ? '\u2421' : '\ufffd';
}
