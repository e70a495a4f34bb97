/**
 * BertNormalizer and the classes of BertPreTokenizer, one code point at a time: all their steps work on single characters,
 * so what becomes of a character does not depend on its neighbours, and every result keeps the place it came from.
 *
 * One thing is left out: canonical decomposition of a whole text also reorders neighbouring marks. It can change no id but of
 * a vocabulary with words of several spacing marks; in the Rust library it shifts the offsets of such words, here it does not.
 */
import {
  IDEOGRAPH,
  inRanges,
  lowerCase,
  NONSPACING_MARK,
  PUNCTUATION,
  REMOVED,
  SPACE,
  UNDECOMPOSED,
} from './ranges.ts';

/** The flags of a BertNormalizer, by the names of tokenizer.json in our spelling. */
export interface NormalizerFlags {
  /** Drop control and format characters and U+FFFD. */
  cleanText: boolean;
  /** Set each ideograph apart as a word. */
  handleChineseChars: boolean;
  /** Decompose canonically and drop non-spacing marks. */
  stripAccents: boolean;
  lowercase: boolean;
}

/** What a normalized character does to the words around it. */
export const KIND = {
  /** Joins the word. */
  letter: 0,
  /** Ends the word. */
  space: 1,
  /** Ends the word and is one itself. */
  punctuation: 2,
} as const;
export type Kind = (typeof KIND)[keyof typeof KIND];

/** One code point after normalization. */
export interface NormalizedCharacter {
  text: string;
  kind: Kind;
}

const MEMO_LIMIT = 1 << 16;
const REPLACEMENT_CHARACTER = 0xfffd;
const AROUND_IDEOGRAPH: NormalizedCharacter = { text: ' ', kind: KIND.space };

export class CharacterNormalizer {
  readonly flags: NormalizerFlags;
  readonly #memo = new Map<number, readonly NormalizedCharacter[]>();

  constructor(flags: NormalizerFlags) {
    this.flags = flags;
  }

  /**
   * What a code point becomes: nothing, itself, or several characters. A lone surrogate is taken for U+FFFD, which is how a
   * text that holds one reaches any library that works on UTF-8.
   */
  normalize(codePoint: number): readonly NormalizedCharacter[] {
    let result = this.#memo.get(codePoint);
    if (result === undefined) {
      result = this.#compute(codePoint >= 0xd800 && codePoint <= 0xdfff ? REPLACEMENT_CHARACTER : codePoint);
      if (this.#memo.size >= MEMO_LIMIT) this.#memo.clear();
      this.#memo.set(codePoint, result);
    }
    return result;
  }

  /** Normalizes a whole text, as added tokens that are matched in normalized text need it. */
  normalizeText(text: string): string {
    let normalized = '';
    for (const character of text) {
      for (const part of this.normalize(character.codePointAt(0)!)) normalized += part.text;
    }
    return normalized;
  }

  #compute(codePoint: number): NormalizedCharacter[] {
    const { cleanText, handleChineseChars, stripAccents, lowercase } = this.flags;
    if (cleanText && inRanges(REMOVED, codePoint)) return [];
    let text = String.fromCodePoint(codePoint);
    if (cleanText && inRanges(SPACE, codePoint)) text = ' ';
    if (stripAccents && !inRanges(UNDECOMPOSED, codePoint)) text = text.normalize('NFD');

    const result: NormalizedCharacter[] = [];
    for (const character of text) {
      if (stripAccents && inRanges(NONSPACING_MARK, character.codePointAt(0)!)) continue;
      for (const final of lowercase ? lowerCase(character) : character) {
        result.push({ text: final, kind: kindOf(final.codePointAt(0)!) });
      }
    }
    const apart = handleChineseChars && inRanges(IDEOGRAPH, codePoint);
    return apart ? [AROUND_IDEOGRAPH, ...result, AROUND_IDEOGRAPH] : result;
  }
}

/** Whether the pre-tokenizer takes a code point for white space. */
export function isSpace(codePoint: number): boolean {
  return inRanges(SPACE, codePoint);
}

function kindOf(codePoint: number): Kind {
  if (isSpace(codePoint)) return KIND.space;
  return inRanges(PUNCTUATION, codePoint) ? KIND.punctuation : KIND.letter;
}
