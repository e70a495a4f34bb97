import { InputError } from '../errors.ts';
import { splitLines } from './lines.ts';

/** One text to be analyzed, as it stands in a file. */
export interface InputText {
  id: string;
  text: string;
  pair?: string;
  /** Bytes of the file that it stands for. */
  bytes?: number;
}

/**
 * The texts of a file of JSON lines: objects with `text`, and where wanted `id` (a string or a number; else the record's
 * index) and `pair`. Other members are ignored, lines of white space are skipped.
 *
 * Ids are remembered to find one that is given twice, about 100 bytes each; a file without ids costs nothing.
 * @throws InputError naming the line that is no such object, or whose id was there before
 */
export async function* readRecords(chunks: AsyncIterable<string>, name: string): AsyncGenerator<InputText> {
  const ids = new UniqueIds();
  let line = 0;
  let index = 0;
  for await (const source of splitLines(chunks, name)) {
    line++;
    if (source.trim() === '') continue;
    const { id, ...record } = parseRecord(source, `${name}, line ${line}`);
    yield { id: ids.add(id, index++, line, name), ...record, bytes: Buffer.byteLength(source) + 1 };
  }
}

function parseRecord(source: string, where: string): { id: string | undefined; text: string; pair?: string } {
  let record: unknown;
  try {
    record = JSON.parse(source);
  } catch (cause) {
    throw new InputError(`${where}: not JSON: ${(cause as Error).message}`, { hint: ONE_A_LINE, cause });
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record)) {
    throw new InputError(`${where}: not an object, but ${kindOf(record)}`, { hint: ONE_A_LINE });
  }
  const { text, pair = null, id = null } = record as Record<string, unknown>;
  if (typeof text !== 'string') throw wrongField(where, 'text', 'a string', text);
  if (pair !== null && typeof pair !== 'string') throw wrongField(where, 'pair', 'a string', pair);
  if (id !== null && typeof id !== 'string' && typeof id !== 'number')
    throw wrongField(where, 'id', 'a string or a number', id);
  return { id: id === null ? undefined : String(id), text, ...(pair !== null && { pair }) };
}

const ONE_A_LINE =
  'Each line is one object, such as {"id": "a", "text": "A sentence."}; for plain text use a .txt file.';

function wrongField(where: string, field: string, takes: string, value: unknown): InputError {
  return new InputError(`${where}: ${field} must be ${takes}, and is ${kindOf(value)}`, { hint: ONE_A_LINE });
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object';
  return `a ${typeof value}`;
}

/** The ids of a run. As long as no record has named its own, an index cannot be taken and nothing is remembered. */
class UniqueIds {
  readonly #lines = new Map<string, number>();
  #unnamed = 0;

  add(given: string | undefined, index: number, line: number, name: string): string {
    const id = given ?? String(index);
    if (given === undefined && this.#lines.size === 0) {
      this.#unnamed = index + 1;
      return id;
    }
    const before = this.#lines.get(id);
    const isIndex = /^(?:0|[1-9]\d*)$/.test(id) && Number(id) < this.#unnamed;
    if (before !== undefined || isIndex) {
      const where =
        before === undefined ? `the index of an earlier record without id` : `given before, on line ${before}`;
      throw new InputError(`${name}, line ${line}: the id ${JSON.stringify(id)} is ${where}`, {
        hint: 'Results are told apart by id: give each record its own, or none.',
      });
    }
    this.#lines.set(id, line);
    return id;
  }
}
