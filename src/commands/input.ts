import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { InputError, UsageError } from '../errors.ts';
import { onDisk, writeAll } from '../report/output.ts';
import { systemReason } from '../report/stream.ts';
import { temporaryBeside } from '../temporary.ts';
import { joinText, splitLines } from '../text/lines.ts';
import type { InputText } from '../text/records.ts';
import { readRecords } from '../text/records.ts';
import { splitSentences } from '../text/sentences.ts';
import { decodeUtf8 } from '../text/utf8.ts';
import type { OptionSpec, ParsedArguments } from './arguments.ts';
import type { CommandIo } from './io.ts';
import { throwIfAborted } from './io.ts';

const SPLITS = ['sentence', 'line', 'none'] as const;
type Split = (typeof SPLITS)[number];

export const INPUT_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'file',
    value: 'F',
    help: 'the texts of a .txt or .jsonl file (members text, and optional id, pair); - is stdin',
  },
  {
    name: 'split',
    value: 'HOW',
    choices: SPLITS,
    help: 'a text file by sentence (default), by line, or none: as one text',
  },
];

/** The texts of a run, in order, read as they are asked for. */
export interface InputSource {
  /** The texts from the first on; a second call reads them again where the source was opened so. */
  texts: () => AsyncIterable<InputText>;
  /** Whether there may be more than one. */
  many: boolean;
  /** Bytes of the file; null for texts from the command line, for standard input and for pipes. */
  size: number | null;
  close: () => Promise<void>;
}

/**
 * The texts that the arguments name: TEXT…, or `--file F` with `--split`. A file is opened at once, so that a wrong name is
 * known before a model is loaded, and read in chunks.
 * @param again whether the texts will be read twice: what cannot be (standard input, a pipe) is then kept in a temporary file
 * @throws UsageError where there is no text, or both kinds; InputError where the file cannot be opened
 */
export async function openInputs(parsed: ParsedArguments, io: CommandIo, again = false): Promise<InputSource> {
  const { positionals } = parsed;
  const path = parsed.text('file');
  const split = parsed.choice<Split>('split');
  if (path !== undefined && positionals.length > 0) {
    throw new UsageError(`--file and TEXT exclude each other: ${path} and '${positionals[0]}' are both given`);
  }
  if (path === undefined) {
    if (split !== undefined) throw new UsageError('--split is for --file; each TEXT is one sequence');
    if (positionals.length === 0) {
      throw new UsageError('no text: give TEXT, or --file F', {
        hint: "For example: layer8 'A sentence.' A dash as F is standard input.",
      });
    }
    return fromArguments(positionals);
  }
  const format = formatOf(path);
  if (split !== undefined && format === 'records') {
    throw new UsageError('--split is for plain text; a line of a .jsonl file is one sequence');
  }
  const bytes = path === '-' ? fromStdin(io, parsed.has('quiet')) : await fromFile(path, io.signal);
  const source = again && !bytes.repeatable ? await spooled(bytes, io.signal) : bytes;
  return {
    texts: () => readTexts(source.read(), source.name, format, split),
    many: true,
    size: source.size,
    close: source.close,
  };
}

function fromArguments(texts: readonly string[]): InputSource {
  async function* each(): AsyncGenerator<InputText> {
    for (const [index, text] of texts.entries()) yield { id: String(index), text };
  }
  return { texts: each, many: texts.length > 1, size: null, close: async () => undefined };
}

/** Bytes that come in chunks. */
interface ByteSource {
  /** For messages. */
  name: string;
  size: number | null;
  /** Whether `read` begins at the first byte each time. */
  repeatable: boolean;
  read: () => AsyncGenerator<Uint8Array>;
  close: () => Promise<void>;
}

function fromStdin({ stdin, stderr, signal }: CommandIo, quiet: boolean): ByteSource {
  if (stdin.isTTY && !quiet) stderr.write('layer8: reading from the terminal; Ctrl-D on an empty line ends the text\n');
  const name = 'standard input';
  return {
    name,
    size: null,
    repeatable: false,
    async *read() {
      const stop = (): void => void stdin.destroy();
      signal.addEventListener('abort', stop, { once: true });
      try {
        yield* stdin as AsyncIterable<Uint8Array>;
      } catch (cause) {
        throwIfAborted(signal);
        throw unreadable(name, cause);
      } finally {
        signal.removeEventListener('abort', stop);
      }
      throwIfAborted(signal);
    },
    close: async () => void stdin.destroy(),
  };
}

async function fromFile(path: string, signal: AbortSignal): Promise<ByteSource> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    const stats = await handle.stat();
    if (stats.isDirectory()) throw new InputError(`cannot read ${path}: it is a folder`, { hint: 'Name one file.' });
    return bytesOf(handle, path, stats.isFile() ? stats.size : null, signal);
  } catch (error) {
    await handle?.close();
    throw unreadable(path, error);
  }
}

const CHUNK = 1 << 16;

/** @param size null for what has no positions, such as a pipe */
function bytesOf(handle: FileHandle, name: string, size: number | null, signal: AbortSignal): ByteSource {
  return {
    name,
    size,
    repeatable: size !== null,
    async *read() {
      for (let position = 0; ;) {
        throwIfAborted(signal);
        const chunk = new Uint8Array(CHUNK);
        const { bytesRead } = await handle
          .read(chunk, 0, CHUNK, size === null ? null : position)
          .catch((error: unknown) => {
            throw unreadable(name, error);
          });
        if (bytesRead === 0) return;
        position += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
    },
    close: () => handle.close(),
  };
}

/** Keeps what can be read only once in a temporary file, which can be read again. */
async function spooled(source: ByteSource, signal: AbortSignal): Promise<ByteSource> {
  const temporary = await temporaryBeside(join(tmpdir(), 'layer8-input'));
  const { path } = temporary;
  let handle: FileHandle | undefined;
  const close = async (): Promise<void> => {
    await handle?.close();
    await temporary.remove();
  };
  try {
    handle = await onDisk(path, open(path, 'wx+', 0o600));
    let size = 0;
    for await (const chunk of source.read()) {
      await onDisk(path, writeAll(handle, chunk));
      size += chunk.byteLength;
    }
    return { ...bytesOf(handle, source.name, size, signal), close };
  } catch (error) {
    await close();
    throw error;
  } finally {
    await source.close();
  }
}

function unreadable(path: string, error: unknown): InputError {
  if (error instanceof InputError) return error;
  return new InputError(`cannot read ${path}: ${systemReason(error)}`, { cause: error });
}

type InputFormat = 'records' | 'text' | 'unknown';

function formatOf(path: string): InputFormat {
  const extension = extname(path).toLowerCase();
  if (extension === '.jsonl' || extension === '.ndjson') return 'records';
  return extension === '.txt' ? 'text' : 'unknown';
}

/** Where neither name nor --split says what it is, text that begins with a brace is JSON lines. */
async function* readTexts(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  format: InputFormat,
  split: Split | undefined,
): AsyncGenerator<InputText> {
  const decoded = decodeUtf8(chunks, name);
  const first = await decoded.next();
  async function* text(): AsyncGenerator<string> {
    if (first.done) return;
    yield first.value;
    yield* decoded;
  }
  const braced = !first.done && first.value.trimStart().startsWith('{');
  if (format === 'records' || (format === 'unknown' && split === undefined && braced)) {
    yield* readRecords(text(), name);
    return;
  }
  let index = 0;
  for await (const part of splitText(text(), name, split ?? 'sentence')) {
    // Between the lines of a text there are often empty ones; they are no sequences.
    if (part.trim() === '') continue;
    yield { id: String(index++), text: part, bytes: Buffer.byteLength(part) + 1 };
  }
  // An empty file is a text without a word, not the absence of one.
  if (index === 0) yield { id: '0', text: '' };
}

async function* splitText(chunks: AsyncIterable<string>, name: string, split: Split): AsyncGenerator<string> {
  if (split === 'sentence') yield* splitSentences(chunks);
  else if (split === 'line') yield* splitLines(chunks, name);
  else yield await joinText(chunks, name);
}
