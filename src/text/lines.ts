import { InputError } from '../errors.ts';

/** UTF-16 code units that one text may have. A text is tokenized whole, so its length is what memory has to hold. */
export const MOST_UNITS = 1 << 24;

/**
 * The lines of a text that comes in chunks, without their line feeds or carriage returns; a last line needs no line feed.
 * @throws InputError where a line is longer than a text may be
 */
export async function* splitLines(chunks: AsyncIterable<string>, name: string): AsyncGenerator<string> {
  // A line that spans many chunks is joined once, not again with each of them.
  let open: string[] = [];
  let length = 0;
  let number = 1;
  const add = (part: string): void => {
    open.push(part);
    length += part.length;
    if (length > MOST_UNITS) throw tooLong(`${name}, line ${number}`);
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf('\n'); end >= 0; end = chunk.indexOf('\n', start)) {
      add(chunk.slice(start, end));
      yield open.join('').replace(/\r$/, '');
      open = [];
      length = 0;
      number++;
      start = end + 1;
    }
    add(chunk.slice(start));
  }
  if (length > 0) yield open.join('').replace(/\r$/, '');
}

/**
 * All chunks as one text.
 * @throws InputError where it is longer than a text may be
 */
export async function joinText(chunks: AsyncIterable<string>, name: string): Promise<string> {
  const parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length > MOST_UNITS) throw tooLong(name);
  }
  return parts.join('');
}

function tooLong(where: string): InputError {
  return new InputError(
    `${where} is longer than the ${MOST_UNITS.toLocaleString('en')} characters that one text may have`,
    {
      hint: 'Split it: --split sentence takes a file sentence by sentence.',
    },
  );
}
