import type { FileHandle } from 'node:fs/promises';
import { access, constants, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InputError, UsageError } from '../errors.ts';
import { withLock } from '../hub/lock.ts';
import { temporaryBeside } from '../temporary.ts';
import type { InputText } from '../text/records.ts';
import { sequenceStart } from './json.ts';
import type { Output } from './output.ts';
import { onDisk, writeAll, writeFailure } from './output.ts';

const CHUNK = 1 << 16;
/** What a power cut may cost. A process that is killed loses nothing that it wrote. */
const SYNC_MS = 2000;
const LINE_FEED = 0x0a;

/** What a run is: where any of it differs, its lines are not those of the other run. */
export type RunIdentity = Readonly<Record<string, unknown>>;

/**
 * Runs `work` while no other process of the same output runs its own.
 * @param onWait called where another one does
 * @throws IoError where the folder of `path` may not be written, and whatever `work` throws
 */
export async function withOutputLock<T>(
  path: string,
  options: { signal: AbortSignal; onWait: () => void },
  work: () => Promise<T>,
): Promise<T> {
  const target = await realpath(path).catch(() => path);
  await onDisk(path, access(dirname(target), constants.W_OK));
  return withLock(`${target}.partial.lock`, options, work);
}

/**
 * JSON lines that grow in `F.partial` and become `F` when they are complete; `F.partial.json` says whose they are. A run that
 * was cut off at any moment leaves both, and the next one goes on behind the last complete line.
 */
export class ResumableOutput implements Output {
  readonly #target: string;
  readonly #partial: string;
  readonly #record: string;
  readonly #handle: FileHandle;
  /** What was read last of the earlier run's lines. */
  readonly #chunk = Buffer.alloc(CHUNK);
  #chunkAt = 0;
  #chunkLength = 0;
  /** Where the next line goes; until all lines of the earlier run are passed, where the next of them begins. */
  #position = 0;
  #passed = 0;
  #synced = performance.now();
  #closed = false;

  private constructor(target: string, partial: string, handle: FileHandle) {
    this.#target = target;
    this.#partial = partial;
    this.#record = `${partial}.json`;
    this.#handle = handle;
  }

  /** @throws IoError where it cannot be written */
  static async open(path: string): Promise<ResumableOutput> {
    const there = await stat(path).catch(() => undefined);
    if (there !== undefined && !there.isFile()) throw writeFailure(path, 'it is no plain file');
    const target = there === undefined ? path : await onDisk(path, realpath(path));
    const partial = `${target}.partial`;
    const handle = await onDisk(partial, open(partial, constants.O_RDWR | constants.O_CREAT));
    return new ResumableOutput(target, partial, handle);
  }

  /**
   * Records what run this is or, where an earlier one left lines, makes sure that it was the same.
   * @throws UsageError where it had other options, another model or another adapter
   */
  async begin(identity: RunIdentity): Promise<void> {
    if ((await this.#size()) === 0) await writeRecord(this.#record, identity);
    else await checkRecord(this.#partial, this.#record, identity);
  }

  /** Sequences that the earlier run had finished, as far as `remaining` has come. */
  get passed(): number {
    return this.#passed;
  }

  /**
   * The texts that have no line yet. Those that have one are held against it.
   * @param onPassed called with each text that has its line
   * @throws InputError where a line is another text's
   */
  async *remaining(texts: AsyncIterable<InputText>, onPassed: (text: InputText) => void): AsyncGenerator<InputText> {
    let behind = true;
    for await (const text of texts) {
      if (behind && (await this.#pass(text))) {
        onPassed(text);
        continue;
      }
      if (behind) await onDisk(this.#partial, this.#handle.truncate(this.#position));
      behind = false;
      yield text;
    }
    if (!behind) return;
    if ((await this.#size()) > this.#position) throw this.#otherTexts('there are no more texts');
  }

  async write(text: string): Promise<void> {
    const bytes = Buffer.from(text, 'utf8');
    await onDisk(this.#partial, writeAll(this.#handle, bytes, this.#position));
    this.#position += bytes.byteLength;
    if (performance.now() - this.#synced < SYNC_MS) return;
    await onDisk(this.#partial, this.#handle.datasync());
    this.#synced = performance.now();
  }

  async commit(): Promise<void> {
    await onDisk(this.#partial, this.#handle.sync());
    await this.#close();
    await onDisk(this.#target, rename(this.#partial, this.#target));
    await onDisk(this.#record, rm(this.#record, { force: true }));
  }

  /** Something failed, or was interrupted: keeps what is done, if anything is. */
  async discard(): Promise<void> {
    if (this.#closed) return;
    const size = await this.#size().catch(() => undefined);
    await this.#close().catch(() => undefined);
    if (size === 0) for (const path of [this.#partial, this.#record]) await rm(path, { force: true });
  }

  async #size(): Promise<number> {
    return (await onDisk(this.#partial, this.#handle.stat())).size;
  }

  async #close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await onDisk(this.#partial, this.#handle.close());
  }

  /**
   * Passes the next line, which must begin as that of `text` does.
   * @returns false where there is none, or no complete one
   */
  async #pass(text: InputText): Promise<boolean> {
    const start = Buffer.from(sequenceStart(text), 'utf8');
    for (let length = 0; ;) {
      const read = await this.#readAt(this.#position + length);
      const end = read.indexOf(LINE_FEED);
      const part = end < 0 ? read : read.subarray(0, end);
      // A power cut may leave zeros where lines were not yet on the disk; JSON has none.
      if (read.length === 0 || part.includes(0)) return false;
      const expected = start.subarray(length, length + part.length);
      length += part.length;
      if (!part.subarray(0, expected.length).equals(expected) || (end >= 0 && length < start.length)) {
        throw this.#otherTexts(`the text ${JSON.stringify(text.id)} is not that of its line`);
      }
      if (end < 0) continue;
      this.#position += length + 1;
      this.#passed++;
      return true;
    }
  }

  /** Some bytes from `position` on; none at the end. */
  async #readAt(position: number): Promise<Buffer> {
    if (position < this.#chunkAt || position >= this.#chunkAt + this.#chunkLength) {
      const { bytesRead } = await onDisk(this.#partial, this.#handle.read(this.#chunk, 0, CHUNK, position));
      this.#chunkAt = position;
      this.#chunkLength = bytesRead;
    }
    return this.#chunk.subarray(position - this.#chunkAt, this.#chunkLength);
  }

  #otherTexts(why: string): InputError {
    return new InputError(`${this.#partial}, line ${this.#passed + 1}, was written for another input: ${why}`, {
      hint: `Give the same input, or delete ${this.#partial} to begin anew.`,
    });
  }
}

/** Whole or not at all, and before the first line: lines without a record could be anybody's. */
async function writeRecord(path: string, identity: RunIdentity): Promise<void> {
  const temporary = await temporaryBeside(path);
  try {
    const handle = await onDisk(path, open(temporary.path, 'wx'));
    await onDisk(path, handle.writeFile(`${JSON.stringify(identity, null, 2)}\n`));
    await onDisk(path, handle.sync());
    await onDisk(path, handle.close());
    await onDisk(path, temporary.moveTo(path));
  } finally {
    await temporary.remove();
  }
}

async function checkRecord(partial: string, record: string, identity: RunIdentity): Promise<void> {
  const hint = `Run it as it was begun, or delete ${partial} to begin anew.`;
  let begun: unknown;
  try {
    begun = JSON.parse(await readFile(record, 'utf8'));
  } catch (cause) {
    throw new UsageError(`--resume: nothing says what run ${partial} is of: ${record} is missing or damaged`, {
      hint,
      cause,
    });
  }
  // As it would be read again: without members that are undefined.
  const difference = firstDifference('', begun, JSON.parse(JSON.stringify(identity)));
  if (difference === undefined) return;
  const { member, was, is } = difference;
  throw new UsageError(`--resume: ${partial} was begun with ${member} ${was}, and this run has ${is}`, { hint });
}

/** Where two JSON values differ first, as `options.quantile`. */
function firstDifference(
  member: string,
  was: unknown,
  is: unknown,
): { member: string; was: string; is: string } | undefined {
  if (!isObject(was) || !isObject(is)) {
    const [one, other] = [was, is].map((value) => JSON.stringify(value) ?? 'none') as [string, string];
    return one === other ? undefined : { member, was: one, is: other };
  }
  for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
    const difference = firstDifference(member === '' ? key : `${member}.${key}`, was[key], is[key]);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
