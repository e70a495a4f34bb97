/** Overlapping windows over a text that is longer than the model takes. */
import { UsageError } from '../errors.ts';

/** A stretch of content tokens, special tokens not counted: from `start` up to, not including, `end`. */
export interface Window {
  start: number;
  end: number;
}

export interface WindowPlan {
  /** In text order; at least one, which is empty for an empty text. */
  windows: Window[];
  /** [length] Index of the window that reports each content token. */
  owner: Uint32Array;
}

/**
 * Lays windows over `length` content tokens, as Hugging Face's tokenizers do with `stride`: each holds `room` tokens, two
 * neighbours share `stride` of them, and the last ends with the text, so it may hold fewer.
 *
 * A token belongs to the window in which it is farthest from an edge, the earlier of two that are equal: there it has the
 * most context on its poorer side.
 *
 * @param room content tokens that a window holds: the model's positions less the special tokens
 * @throws {UsageError} where a text needs several windows and `stride` leaves no progress from one to the next
 */
export function planWindows(length: number, room: number, stride: number): WindowPlan {
  if (!Number.isSafeInteger(stride) || stride < 0) {
    throw new UsageError(`stride ${stride}: not a whole number of tokens, 0 or more`);
  }
  if (length > room && stride >= room) {
    throw new UsageError(`stride ${stride}: windows of ${room} tokens that share ${stride} make no progress`, {
      hint: `Give a stride below ${room}.`,
    });
  }
  const windows: Window[] = [{ start: 0, end: Math.min(room, length) }];
  for (let last = windows[0]; last.end < length; windows.push(last)) {
    const start = last.end - stride;
    last = { start, end: Math.min(start + room, length) };
  }
  return { windows, owner: owners(windows, length) };
}

/** Linear: from one token to the next the best window is the same or a later one. */
function owners(windows: readonly Window[], length: number): Uint32Array {
  const owner = new Uint32Array(length);
  let best = 0;
  for (let token = 0; token < length; token++) {
    while (best + 1 < windows.length && distance(windows[best + 1], token) > distance(windows[best], token)) best++;
    owner[token] = best;
  }
  return owner;
}

/** Tokens between a token and the nearer edge of a window; negative outside. */
function distance({ start, end }: Window, token: number): number {
  return Math.min(token - start, end - 1 - token);
}
