/** Words to pieces: the WordPiece model of `@huggingface/tokenizers`, with a bounded memory of the words it has seen. */
import { WordPiece } from '@huggingface/tokenizers';

/** The pieces of one word. */
export interface WordPieces {
  /** Of each piece. */
  ids: readonly number[];
  /** Code points each piece covers. Empty where one piece, a known or the unknown one, covers the whole word. */
  lengths: readonly number[];
}

export interface WordPieceConfig {
  /** Token to id. */
  vocab: Record<string, number>;
  unknownToken: string;
  /** What stands before a piece that continues a word: `##`. */
  continuingPrefix: string;
  /** Words of more code points are unknown. */
  maxCharactersPerWord: number;
}

/** Words remembered at most, twice over; each has at most `maxCharactersPerWord` code points. */
const CACHE_LIMIT = 1 << 15;

/** V8 makes a slice of this length or more a view that keeps the whole text alive. */
const SLICE_IS_VIEW = 13;

export class WordPieceModel {
  readonly maxCharactersPerWord: number;
  /** The pieces of a word that is too long. */
  readonly unknown: WordPieces;
  readonly #model: WordPiece;
  readonly #vocab: Map<string, number>;
  readonly #unknownId: number;
  readonly #prefixLength: number;
  // Two generations: what is in neither was not asked for during the last CACHE_LIMIT new words.
  #young = new Map<string, WordPieces>();
  #old = new Map<string, WordPieces>();

  /** @param config its vocabulary holds the unknown token. */
  constructor(config: WordPieceConfig) {
    this.maxCharactersPerWord = config.maxCharactersPerWord;
    this.#model = new WordPiece({
      type: 'WordPiece',
      vocab: config.vocab,
      unk_token: config.unknownToken,
      continuing_subword_prefix: config.continuingPrefix,
      max_input_chars_per_word: config.maxCharactersPerWord,
    });
    this.#vocab = this.#model.tokens_to_ids;
    this.#unknownId = config.vocab[config.unknownToken];
    this.#prefixLength = codePointCount(config.continuingPrefix);
    this.unknown = { ids: [this.#unknownId], lengths: [] };
  }

  /** The pieces of a normalized word without white space. */
  encode(word: string): WordPieces {
    let pieces = this.#young.get(word);
    if (pieces !== undefined) return pieces;
    pieces = this.#old.get(word) ?? this.#split(word);
    if (this.#young.size >= CACHE_LIMIT) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(detached(word), pieces);
    return pieces;
  }

  #split(word: string): WordPieces {
    const tokens = this.#model.encode([word]);
    const ids = tokens.map((token) => this.#vocab.get(token) ?? this.#unknownId);
    if (tokens.length === 1) return { ids, lengths: [] };
    return { ids, lengths: tokens.map((token, i) => codePointCount(token) - (i === 0 ? 0 : this.#prefixLength)) };
  }
}

function codePointCount(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The same string with characters of its own, so that the cache keeps a word alive and not the text around it. */
function detached(word: string): string {
  if (word.length < SLICE_IS_VIEW) return word;
  const units: number[] = [];
  for (let i = 0; i < word.length; i++) units.push(word.charCodeAt(i));
  return String.fromCharCode(...units);
}
