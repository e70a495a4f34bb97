/** Tokens that stand in the text as they are (`[MASK]`, or what a user added to the vocabulary), found before any word is. */
import type { AddedToken } from '@huggingface/tokenizers';
import type { CharacterNormalizer } from './normalize.ts';
import { isSpace } from './normalize.ts';

/** A stretch of the text, in UTF-16 code units: an added token where `id` is given, else text between them. */
export interface Segment {
  start: number;
  end: number;
  id?: number;
}

/** A letter, digit, mark or joiner as Rust's `\w` has it: a `single_word` token has none beside it. */
const WORD_CHARACTER = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;

export class AddedTokens {
  readonly #normalizer: CharacterNormalizer;
  /** Matched in the text as it is. */
  readonly #verbatim: Matcher | null;
  /** Matched in what the normalizer makes of the text. */
  readonly #normalized: Matcher | null;

  constructor(tokens: readonly AddedToken[], normalizer: CharacterNormalizer) {
    this.#normalizer = normalizer;
    this.#verbatim = matcher(tokens.filter((token) => !token.normalized).map((token) => [token.content, token]));
    this.#normalized = matcher(
      tokens.filter((token) => token.normalized).map((token) => [normalizer.normalizeText(token.content), token]),
    );
  }

  /** The text from its beginning to its end as added tokens and what is between them. */
  split(text: string): Segment[] {
    const segments = this.#verbatim === null ? [{ start: 0, end: text.length }] : this.#verbatim(text);
    if (this.#normalized === null) return segments;
    return segments.flatMap((segment) => (segment.id === undefined ? this.#splitNormalized(text, segment) : [segment]));
  }

  #splitNormalized(text: string, { start, end }: Segment): Segment[] {
    // Each code unit of the normalized text has the start and the end of the character that it came from.
    let normalized = '';
    const starts: number[] = [];
    const ends: number[] = [];
    for (let i = start; i < end;) {
      const codePoint = text.codePointAt(i)!;
      const next = i + (codePoint > 0xffff ? 2 : 1);
      for (const part of this.#normalizer.normalize(codePoint)) {
        normalized += part.text;
        for (let unit = 0; unit < part.text.length; unit++) {
          starts.push(i);
          ends.push(next);
        }
      }
      i = next;
    }
    const found = this.#normalized!(normalized);
    if (found.length === 1 && found[0].id === undefined) return [{ start, end }];
    return found
      .filter((segment) => segment.start < segment.end)
      .map((segment) => ({ ...segment, start: starts[segment.start], end: ends[segment.end - 1] }));
  }
}

type Matcher = (text: string) => Segment[];

/** A function that finds the leftmost, then longest of some tokens, one after the other, without overlaps. */
function matcher(tokens: [content: string, token: AddedToken][]): Matcher | null {
  const byContent = new Map(tokens.filter(([content]) => content !== ''));
  if (byContent.size === 0) return null;
  // Alternatives are tried in order: the longest first makes the first that matches the longest.
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`)).join('|');

  return (text) => {
    const segments: Segment[] = [];
    let done = 0;
    for (const match of text.matchAll(new RegExp(pattern, 'g'))) {
      const token = byContent.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (token.single_word && (isWordCharacter(text, start - 1) || isWordCharacter(text, end))) continue;
      if (token.lstrip) while (start > done && isSpace(text.charCodeAt(start - 1))) start--;
      if (token.rstrip) while (end < text.length && isSpace(text.charCodeAt(end))) end++;
      if (done < start) segments.push({ start: done, end: start });
      segments.push({ start, end, id: token.id });
      done = end;
    }
    if (done < text.length || segments.length === 0) segments.push({ start: done, end: text.length });
    return segments;
  };
}

/** @param index of a code unit of the character; outside the text there is none. */
function isWordCharacter(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  const isLowSurrogate = unit >= 0xdc00 && unit <= 0xdfff;
  const codePoint = text.codePointAt(isLowSurrogate ? index - 1 : index);
  return codePoint !== undefined && WORD_CHARACTER.test(String.fromCodePoint(codePoint));
}
