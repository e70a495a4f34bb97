/** A text of any length as sentences. */

/**
 * A line longer than this many UTF-16 code units is segmented a block at a time, and no sentence is longer. Not more,
 * because V8's segmenter takes time proportional to the whole string for each of its sentences.
 */
export const MOST_SENTENCE_UNITS = 1 << 15;

/** The rules are one language's, so that a file is split alike whatever the machine's language is. */
const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/**
 * The sentences of a text that comes in chunks, by Intl.Segmenter, without the white space around them; those of white space
 * alone are left out.
 *
 * No sentence spans a line feed (UAX #29, rule SB4), so each line is segmented by itself, with the same result as all of the
 * text at once. Where chunks end makes no difference, not even inside a surrogate pair. Memory holds one line, and of a long
 * line at most `MOST_SENTENCE_UNITS`; a sentence that is longer is cut after white space.
 */
export async function* splitSentences(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  const line = new OpenLine();
  for await (const chunk of chunks) {
    let lineEnd = 0;
    for (let from = 0; from < chunk.length;) {
      if (from === lineEnd) lineEnd = endOfLine(chunk, from);
      // Up to a full block and no further: what is segmented must not depend on where a chunk ends.
      const to = Math.min(lineEnd, from + line.room);
      line.append(chunk.slice(from, to));
      from = to;
      if (chunk[to - 1] === '\n') yield* sentencesOf(line.take());
      else if (line.room === 0) yield* completeSentences(line);
    }
  }
  yield* sentencesOf(line.take());
}

/** What was read of a line, joined once and not again with every chunk. */
class OpenLine {
  #parts: string[] = [];
  #length = 0;

  /** Code units until a block is full. */
  get room(): number {
    return MOST_SENTENCE_UNITS - this.#length;
  }

  append(part: string): void {
    this.#parts.push(part);
    this.#length += part.length;
  }

  take(): string {
    const text = this.#parts.join('');
    this.#parts = [];
    this.#length = 0;
    return text;
  }
}

function* sentencesOf(text: string): Generator<string> {
  for (const { segment } of segmenter.segment(text)) yield* trimmed(segment);
}

/**
 * The sentences of a full block but its last two, which stay in the line. The last may go on. Whether the one before it ends
 * where it does can depend on the first letter or full stop that follows (rule SB8); every break further back is followed by
 * the full stop of the last but one.
 */
function* completeSentences(line: OpenLine): Generator<string> {
  const block = line.take();
  const segments = Array.from(segmenter.segment(block), ({ segment }) => segment);
  if (segments.length === 1) segments.unshift(block.slice(0, whereToCut(block)));
  const complete = segments.slice(0, Math.max(1, segments.length - 2));
  let length = 0;
  for (const segment of complete) {
    yield* trimmed(segment);
    length += segment.length;
  }
  line.append(block.slice(length));
}

function* trimmed(segment: string): Generator<string> {
  const sentence = segment.trim();
  if (sentence !== '') yield sentence;
}

function endOfLine(chunk: string, from: number): number {
  const lineFeed = chunk.indexOf('\n', from);
  return lineFeed < 0 ? chunk.length : lineFeed + 1;
}

/** Where a sentence that fills a block is cut: after its last white space, else at its end, never inside a surrogate pair. */
function whereToCut(block: string): number {
  for (let end = block.length; end > 0; end--) {
    if (/\s/.test(block[end - 1])) return end;
  }
  const last = block.charCodeAt(block.length - 1);
  const isHighSurrogate = last >= 0xd800 && last <= 0xdbff;
  return isHighSurrogate ? block.length - 1 : block.length;
}
