/** How many pieces of a text and its pair are kept under a limit: the arithmetic of Hugging Face's fast tokenizers. */
import { InputError, UsageError } from '../errors.ts';

/** Which text gives way: the longer one piece by piece, or only the first, or only the second. */
export type TruncationStrategy = 'longest_first' | 'only_first' | 'only_second';

/**
 * Pieces that stay of a single text of `length` pieces.
 *
 * @param room pieces that fit beside the special tokens
 * @throws {UsageError} for `only_second`: there is no second text
 */
export function keptOfOne(length: number, room: number, strategy: TruncationStrategy): number {
  if (strategy === 'only_second') throw new UsageError('truncation only_second: on a text without a pair');
  return Math.min(length, room);
}

/**
 * Pieces that stay of a text and of its pair.
 *
 * @param room pieces of both that fit beside the special tokens
 * @throws {InputError} where `only_first` or `only_second` would leave nothing of that text
 */
export function keptOfTwo(
  first: number,
  second: number,
  room: number,
  strategy: TruncationStrategy,
): [first: number, second: number] {
  const excess = first + second - room;
  if (excess <= 0) return [first, second];
  if (strategy === 'longest_first') return longestFirst(first, second, room);
  const [text, length] = strategy === 'only_first' ? ['first', first] : ['second', second];
  if (length <= excess) {
    throw new InputError(`truncation ${strategy}: ${excess} tokens must go, and the ${text} text has ${length}`);
  }
  return strategy === 'only_first' ? [first - excess, second] : [first, second - excess];
}

/** Both become equally long, unless the shorter has less than half: the odd token is the longer text's, on a tie the second's. */
function longestFirst(first: number, second: number, room: number): [number, number] {
  let shorter = Math.min(first, second);
  let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = Math.floor(room / 2);
    longer = room - shorter;
  }
  return first > second ? [longer, shorter] : [shorter, longer];
}
