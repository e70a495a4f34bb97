/** The tokens of one text or pair as a result lists them: each once, whatever windows the model sees. */
import { InputError } from '../errors.ts';
import type { Encoding, Tokenizer } from './tokenizer.ts';
import { planWindows, type Window } from './windows.ts';

export interface SequenceToken {
  token: string;
  id: number;
  /** 0 for the text, 1 for its pair. */
  segment: number;
  /** UTF-16 code units into the text (the pair where segment is 1); null for special tokens. */
  start: number | null;
  end: number | null;
  /** Index of the word in its own text; null for special tokens. */
  word: number | null;
  special: boolean;
  /** Index of the window that reports this token. */
  window: number;
}

export interface TokenizedSequence {
  /** As the tokenizer gave it, before windows. */
  encoding: Encoding;
  tokens: SequenceToken[];
  /**
   * Tokens that each window covers, as indices into `tokens`; one window where the text fits. Every window has special tokens
   * of its own around it: those in `tokens` are the first window's before the text and the last window's after it.
   */
  windows: Window[];
}

/** Over-long texts: in overlapping windows, an error, or in one piece as no model could take it. */
export type LongText = 'window' | 'error' | 'whole';

export interface SequenceLimits {
  /** Tokens the model takes, special tokens included. Default: the tokenizer's. */
  maxLength?: number;
  /** Tokens that two neighbouring windows share. Default 128. */
  stride?: number;
}

/**
 * Tokenizes a text, or a text and its pair.
 *
 * @throws {InputError} where it is longer than `maxLength` and `long` is `error`, or it is a pair, which no window can hold
 *   with the context of both texts, and `long` is not `whole`
 * @throws {UsageError} where `stride` is no count of tokens, or leaves no progress
 */
export function tokenizeSequence(
  tokenizer: Tokenizer,
  text: string,
  pair: string | undefined,
  long: LongText,
  { maxLength = tokenizer.modelMaxLength, stride = 128 }: SequenceLimits = {},
): TokenizedSequence {
  const encoding = tokenizer.encode(text, pair === undefined ? {} : { pair });
  const length = encoding.tokens.length;
  const fits = long === 'whole' || length <= maxLength;
  if (!fits && (long === 'error' || pair !== undefined)) {
    throw new InputError(
      `${pair === undefined ? 'text' : 'pair'} too long: ${length} tokens where the model takes ${maxLength}`,
      {
        hint:
          pair === undefined
            ? '--long window takes it in windows.'
            : 'A pair cannot be cut into windows: shorten a text.',
      },
    );
  }
  let windows: Window[] = [{ start: 0, end: length }];
  let windowOf = (_token: number): number => 0;
  if (!fits) {
    const lead = encoding.specials.indexOf(false);
    const content = length - tokenizer.specialCount(false);
    const plan = planWindows(content, maxLength - (length - content), stride);
    const last = plan.windows.length - 1;
    windows = plan.windows.map(({ start, end }, i) => ({
      start: i === 0 ? 0 : lead + start,
      end: i === last ? length : lead + end,
    }));
    windowOf = (token) => (token < lead ? 0 : (plan.owner[token - lead] ?? last));
  }
  const tokens = encoding.tokens.map((token, i): SequenceToken => {
    const offset = encoding.offsets[i];
    return {
      token,
      id: encoding.ids[i],
      segment: encoding.segments[i],
      start: offset?.[0] ?? null,
      end: offset?.[1] ?? null,
      word: encoding.wordIds[i],
      special: encoding.specials[i],
      window: windowOf(i),
    };
  });
  return { encoding, tokens, windows };
}
