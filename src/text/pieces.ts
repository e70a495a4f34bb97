/** One pass over a text: its pieces, each with the stretch of the original text that it came from. */
import type { AddedTokens } from './added-tokens.ts';
import { type CharacterNormalizer, KIND } from './normalize.ts';
import type { WordPieceModel, WordPieces } from './wordpiece.ts';

/** The pieces of a text in columns of equal length. */
export interface Pieces {
  ids: number[];
  /** First UTF-16 code unit of the original text. */
  starts: number[];
  /** One past the last UTF-16 code unit. A mark that was dropped after the last character lies outside. */
  ends: number[];
  /** Index of the word; an added token and a punctuation mark are words of their own. */
  words: number[];
}

const ASCII_OTHER = 255;

export class PieceReader {
  readonly #normalizer: CharacterNormalizer;
  readonly #addedTokens: AddedTokens;
  readonly #model: WordPieceModel;
  /** The kind of each ASCII character; ASCII_OTHER for what the normalizer drops. */
  readonly #ascii = new Uint8Array(128);

  constructor(normalizer: CharacterNormalizer, addedTokens: AddedTokens, model: WordPieceModel) {
    this.#normalizer = normalizer;
    this.#addedTokens = addedTokens;
    this.#model = model;
    for (let code = 0; code < 128; code++) this.#ascii[code] = normalizer.normalize(code)[0]?.kind ?? ASCII_OTHER;
  }

  /** The pieces of a text, in its order, without the special tokens of a template. Time is linear in the text's length. */
  read(text: string): Pieces {
    const words = new Words(this.#model);
    for (const { start, end, id } of this.#addedTokens.split(text)) {
      if (id === undefined) this.#readWords(text, start, end, words);
      else words.addWhole(id, start, end);
    }
    return words.pieces;
  }

  #readWords(text: string, from: number, to: number, words: Words): void {
    for (let i = from; i < to;) {
      if (!words.isOpen) {
        const end = this.#asciiWordEnd(text, i, to);
        if (end > i) {
          words.addAscii(this.#normalizer.flags.lowercase, text, i, end);
          i = end;
          continue;
        }
      }
      const codePoint = text.codePointAt(i)!;
      const next = i + (codePoint > 0xffff ? 2 : 1);
      for (const { text: character, kind } of this.#normalizer.normalize(codePoint)) {
        if (kind === KIND.letter) {
          words.append(character, i, next);
          continue;
        }
        words.close();
        if (kind === KIND.punctuation) {
          words.append(character, i, next);
          words.close();
        }
      }
      i = next;
    }
    words.close();
  }

  /**
   * Most words are ASCII from end to end and come from the text by one slice.
   *
   * @returns one past the word's last letter; `from` where no such word begins, or where it goes on beyond ASCII or holds a
   *   character that is dropped.
   */
  #asciiWordEnd(text: string, from: number, to: number): number {
    let end = from;
    while (end < to) {
      const code = text.charCodeAt(end);
      if (code >= 128) return from;
      const kind = this.#ascii[code];
      if (kind === ASCII_OTHER) return from;
      if (kind !== KIND.letter) break;
      end++;
    }
    return end;
  }
}

/** The words of one text, as they are found. */
class Words {
  readonly pieces: Pieces = { ids: [], starts: [], ends: [], words: [] };
  readonly #model: WordPieceModel;
  #count = 0;
  // The word that is open: its characters, and where each came from. Beyond the model's longest word only the end matters.
  #text = '';
  #starts: number[] = [];
  #ends: number[] = [];
  #end = 0;
  #isTooLong = false;

  constructor(model: WordPieceModel) {
    this.#model = model;
  }

  get isOpen(): boolean {
    return this.#starts.length > 0;
  }

  /** Adds one normalized character, from [start, end) of the text, to the open word. */
  append(character: string, start: number, end: number): void {
    this.#end = end;
    if (this.#starts.length >= this.#model.maxCharactersPerWord) {
      this.#isTooLong = true;
      return;
    }
    this.#text += character;
    this.#starts.push(start);
    this.#ends.push(end);
  }

  /** Ends the open word, if there is one. */
  close(): void {
    if (!this.isOpen) return;
    const { ids, lengths } = this.#isTooLong ? this.#model.unknown : this.#model.encode(this.#text);
    if (ids.length === 1) this.addWhole(ids[0], this.#starts[0], this.#end);
    else this.#addPieces(ids, lengths);
    this.#text = '';
    this.#starts.length = 0;
    this.#ends.length = 0;
    this.#isTooLong = false;
  }

  /** Adds a word of ASCII letters that is text[start, end) as it stands, but for its case. */
  addAscii(lowercase: boolean, text: string, start: number, end: number): void {
    const isTooLong = end - start > this.#model.maxCharactersPerWord;
    const word = isTooLong ? '' : text.slice(start, end);
    const { ids, lengths } = isTooLong
      ? this.#model.unknown
      : this.#model.encode(lowercase ? word.toLowerCase() : word);
    if (ids.length === 1) {
      this.addWhole(ids[0], start, end);
      return;
    }
    let position = start;
    for (let i = 0; i < ids.length; i++) {
      this.#push(ids[i], position, position + lengths[i]);
      position += lengths[i];
    }
    this.#count++;
  }

  /** Adds a word that is one piece. */
  addWhole(id: number, start: number, end: number): void {
    this.#push(id, start, end);
    this.#count++;
  }

  #addPieces(ids: WordPieces['ids'], lengths: WordPieces['lengths']): void {
    let character = 0;
    for (let i = 0; i < ids.length; i++) {
      const last = character + lengths[i] - 1;
      this.#push(ids[i], this.#starts[character], this.#ends[last]);
      character = last + 1;
    }
    this.#count++;
  }

  #push(id: number, start: number, end: number): void {
    this.pieces.ids.push(id);
    this.pieces.starts.push(start);
    this.pieces.ends.push(end);
    this.pieces.words.push(this.#count);
  }
}
