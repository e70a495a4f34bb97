/**
 * BERT's tokenizer: the ids of Hugging Face's fast (Rust) tokenizer, and for every piece the stretch of the original text
 * it came from, which the JavaScript package does not give. Of that package come the WordPiece model and the form of an
 * added token; the pass over the text, pairs, templates and truncation are here.
 */
import { shown } from '../checkpoint/json.ts';
import { AddedToken } from '@huggingface/tokenizers';
import { ModelError, UsageError } from '../errors.ts';
import { AddedTokens } from './added-tokens.ts';
import { field, isObject, type JsonObject, wholeNumber } from './json.ts';
import { CharacterNormalizer, type NormalizerFlags } from './normalize.ts';
import { PieceReader, type Pieces } from './pieces.ts';
import { readTemplates, specialCount, type TemplatePlace, type Templates } from './template.ts';
import { keptOfOne, keptOfTwo, type TruncationStrategy } from './truncate.ts';
import { WordPieceModel } from './wordpiece.ts';

/** The tokens of a text or a pair, special tokens included; all lists have one entry a token. */
export interface Encoding {
  ids: Uint32Array;
  /** `token_type_ids`: which embedding of a segment is added. */
  typeIds: Uint32Array;
  tokens: string[];
  /** 0 where the token stands in or after the text, 1 in or after its pair. */
  segments: number[];
  /** UTF-16 code units of the token's own text; null for special tokens. */
  offsets: ([start: number, end: number] | null)[];
  /** Index of the word in its own text; null for special tokens. */
  wordIds: (number | null)[];
  /** Added by the template. A literal `[MASK]` in the text is not: it has an offset and a word like any token. */
  specials: boolean[];
}

export interface EncodeOptions {
  /** The second text; an empty one is a pair all the same. */
  pair?: string;
  /** Tokens at most, special tokens included; no limit where it is absent. */
  maxLength?: number;
  /** Default `longest_first`. */
  strategy?: TruncationStrategy;
}

export class Tokenizer {
  /** `model_max_length` of tokenizer_config.json; Infinity where it states none. */
  readonly modelMaxLength: number;
  /** One more than the highest id: the rows that the word embeddings need. */
  readonly vocabSize: number;
  readonly #tokens: string[];
  readonly #reader: PieceReader;
  readonly #templates: Templates;

  private constructor(tokens: string[], reader: PieceReader, templates: Templates, modelMaxLength: number) {
    this.#tokens = tokens;
    this.#reader = reader;
    this.#templates = templates;
    this.vocabSize = tokens.length;
    this.modelMaxLength = modelMaxLength;
  }

  /**
   * Builds a tokenizer from the parsed files of a model folder. As in the Rust library tokenizer.json alone decides what
   * becomes of a text; its `truncation` and `padding` are not applied. tokenizer_config.json gives `model_max_length`.
   *
   * @param tokenizerConfig undefined where there is none
   * @param source name of the file that `tokenizerJson` came from, for messages
   * @throws {ModelError} where it is malformed, or no WordPiece tokenizer with BERT's normalizer and pre-tokenizer
   */
  static fromJson(tokenizerJson: unknown, tokenizerConfig?: unknown, source = 'tokenizer.json'): Tokenizer {
    if (!isObject(tokenizerJson)) throw new ModelError(`tokenizer cannot be read: no JSON object in ${source}`);
    requireType(tokenizerJson, 'pre_tokenizer', 'BertPreTokenizer', source);
    const normalizer = new CharacterNormalizer(readNormalizer(tokenizerJson, source));
    const model = field(tokenizerJson, 'model', source);
    // Older files name no type of model; WordPiece is known by its prefix.
    if (model['type'] !== undefined || model['continuing_subword_prefix'] === undefined) {
      requireType(tokenizerJson, 'model', 'WordPiece', source);
    }
    const { vocab, tokens } = readVocabulary(model, source);
    const unknownToken = stringOr(model['unk_token'], '[UNK]');
    if (!Object.hasOwn(vocab, unknownToken)) {
      throw new ModelError(
        `tokenizer cannot be read: the vocabulary has no unknown token ${unknownToken} in ${source}`,
      );
    }
    const wordPiece = new WordPieceModel({
      vocab,
      unknownToken,
      continuingPrefix: stringOr(model['continuing_subword_prefix'], '##'),
      maxCharactersPerWord: wholeNumber(
        model['max_input_chars_per_word'] ?? 100,
        'max_input_chars_per_word',
        source,
        1,
      ),
    });
    const added = readAddedTokens(tokenizerJson, vocab, source);
    const reader = new PieceReader(normalizer, new AddedTokens(added, normalizer), wordPiece);
    const templates = readTemplates(tokenizerJson['post_processor'], source);
    for (const { content, id } of added) tokens[id] = content;
    for (const place of [...templates.single, ...templates.pair]) {
      if ('id' in place && tokens[place.id] === undefined) {
        throw new ModelError(
          `tokenizer cannot be read: no token has the id ${place.id} of the post-processor in ${source}`,
        );
      }
    }
    return new Tokenizer(tokens, reader, templates, readMaxLength(tokenizerConfig));
  }

  /** The token of an id; undefined where the vocabulary has none. */
  idToToken(id: number): string | undefined {
    return this.#tokens[id];
  }

  /** Special tokens around a single text, or around a text and its pair. */
  specialCount(isPair: boolean): number {
    return specialCount(isPair ? this.#templates.pair : this.#templates.single);
  }

  /**
   * Tokens of a text or a pair with their special tokens. NUL, control characters, lone surrogates and words of any length
   * are handled as the Rust library does; a lone surrogate counts as U+FFFD. Linear in the text's length.
   *
   * @throws {UsageError} where `maxLength` leaves no room for the special tokens
   * @throws {InputError} where the strategy would leave nothing of the one text that may give way
   */
  encode(text: string, { pair, maxLength, strategy = 'longest_first' }: EncodeOptions = {}): Encoding {
    const sequences = pair === undefined ? [this.pieces(text)] : [this.pieces(text), this.pieces(pair)];
    let kept = sequences.map(({ ids }) => ids.length);
    if (maxLength !== undefined) {
      const specials = this.specialCount(sequences.length === 2);
      const room = maxLength - specials;
      if (!(room >= 0)) {
        throw new UsageError(`maxLength ${maxLength}: less than the ${specials} special tokens of every sequence`);
      }
      kept = kept.length === 1 ? [keptOfOne(kept[0], room, strategy)] : keptOfTwo(kept[0], kept[1], room, strategy);
    }
    return this.assemble(sequences.map((pieces, i) => ({ pieces, start: 0, end: kept[i] })));
  }

  /** The pieces of one text without special tokens. */
  pieces(text: string): Pieces {
    return this.#reader.read(text);
  }

  /** Puts the special tokens around a slice of a text's pieces, or around one of a text and one of its pair. */
  assemble(slices: readonly { pieces: Pieces; start: number; end: number }[]): Encoding {
    const template: TemplatePlace[] = slices.length === 2 ? this.#templates.pair : this.#templates.single;
    const length = slices.reduce((sum, { start, end }) => sum + end - start, specialCount(template));
    const encoding: Encoding = {
      ids: new Uint32Array(length),
      typeIds: new Uint32Array(length),
      tokens: [],
      segments: [],
      offsets: [],
      wordIds: [],
      specials: [],
    };
    const push = (
      id: number,
      typeId: number,
      segment: number,
      offset: [number, number] | null,
      word: number | null,
    ) => {
      const index = encoding.tokens.length;
      encoding.ids[index] = id;
      encoding.typeIds[index] = typeId;
      encoding.tokens.push(this.#tokens[id]);
      encoding.segments.push(segment);
      encoding.offsets.push(offset);
      encoding.wordIds.push(word);
      encoding.specials.push(offset === null);
    };
    let segment = 0;
    for (const place of template) {
      if ('id' in place) {
        push(place.id, place.typeId, segment, null, null);
        continue;
      }
      segment = place.sequence;
      const { pieces, start, end } = slices[segment];
      for (let i = start; i < end; i++) {
        push(pieces.ids[i], place.typeId, segment, [pieces.starts[i], pieces.ends[i]], pieces.words[i]);
      }
    }
    return encoding;
  }
}

function requireType(tokenizerJson: JsonObject, name: string, type: string, source: string): void {
  const actual = isObject(tokenizerJson[name]) ? tokenizerJson[name]['type'] : undefined;
  if (actual === type) return;
  throw new ModelError(`tokenizer not supported: ${name} ${shown(actual)} in ${source}`, {
    hint: `layer8 reads BERT's WordPiece tokenizers, whose ${name} is ${type}.`,
  });
}

function readNormalizer(tokenizerJson: JsonObject, source: string): NormalizerFlags {
  requireType(tokenizerJson, 'normalizer', 'BertNormalizer', source);
  const normalizer = field(tokenizerJson, 'normalizer', source);
  const flag = (name: string): boolean => {
    const value = normalizer[name] ?? true;
    if (typeof value !== 'boolean') {
      throw new ModelError(`tokenizer cannot be read: normalizer.${name} is neither true nor false in ${source}`);
    }
    return value;
  };
  const lowercase = flag('lowercase');
  return {
    cleanText: flag('clean_text'),
    handleChineseChars: flag('handle_chinese_chars'),
    stripAccents: (normalizer['strip_accents'] ?? null) === null ? lowercase : flag('strip_accents'),
    lowercase,
  };
}

/** The vocabulary, and its tokens by id. Ids may have holes: those have no token. */
function readVocabulary(model: JsonObject, source: string): { vocab: Record<string, number>; tokens: string[] } {
  const vocab = field(model, 'vocab', source);
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(vocab)) {
    tokens[wholeNumber(id, () => `id of ${JSON.stringify(token)}`, source)] = token;
  }
  return { vocab: vocab as Record<string, number>, tokens };
}

/** As in the Rust library an added token that is in the vocabulary has the vocabulary's id, whatever the list says. */
function readAddedTokens(tokenizerJson: JsonObject, vocab: Record<string, number>, source: string): AddedToken[] {
  const list = tokenizerJson['added_tokens'] ?? [];
  if (!Array.isArray(list)) throw new ModelError(`tokenizer cannot be read: added_tokens is no list in ${source}`);
  return list.map((token: unknown) => {
    if (!isObject(token) || typeof token['content'] !== 'string') {
      throw new ModelError(`tokenizer cannot be read: an added token without content in ${source}`);
    }
    const { content } = token;
    const id = wholeNumber(token['id'], `id of ${content}`, source);
    return new AddedToken({ ...token, content, id: Object.hasOwn(vocab, content) ? vocab[content] : id });
  });
}

/** Files without a limit state a number beyond any text, about 1e30. */
function readMaxLength(tokenizerConfig: unknown): number {
  const value = isObject(tokenizerConfig) ? tokenizerConfig['model_max_length'] : undefined;
  return typeof value === 'number' && value >= 1 && value < 1e9 ? Math.floor(value) : Number.POSITIVE_INFINITY;
}

function stringOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}
