import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { Layer8Error } from '../../src/errors.ts';
import type { ByteSource } from '../../src/checkpoint/source.ts';

export const BERT = fileURLToPath(new URL('../../weights/bert-base-uncased', import.meta.url));
export const TINY = fileURLToPath(new URL('../fixtures/reference/tiny', import.meta.url));
export const TINY_MODELS = [
  'gelu-h36-a2-i20-f16',
  'gelu-h48-a3-i100',
  'gelu_new-h40-a5-i52',
  'relu-h64-a1-i64-bf16',
] as const;

/** Bytes of a safetensors file: a header as it is given, and data. */
export function fileOf(header: string | Uint8Array | object, data: Uint8Array | number = 0): Uint8Array<ArrayBuffer> {
  const bytes =
    header instanceof Uint8Array
      ? header
      : new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const payload = typeof data === 'number' ? new Uint8Array(data) : data;
  const file = new Uint8Array(8 + bytes.byteLength + payload.byteLength);
  new DataView(file.buffer).setBigUint64(0, BigInt(bytes.byteLength), true);
  file.set(bytes, 8);
  file.set(payload, 8 + bytes.byteLength);
  return file;
}

/** A file in memory that fails the test if it is read out of its bounds. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, name = 'file.safetensors') {
    this.name = name;
    this.#bytes = bytes;
  }

  async size(): Promise<number> {
    return this.#bytes.byteLength;
  }

  async read(offset: number, length: number, into = new Uint8Array(length)): Promise<Uint8Array> {
    const inside = Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0;
    if (!inside || offset + length > this.#bytes.byteLength) {
      throw new RangeError(`read of ${length} bytes at ${offset} of ${this.#bytes.byteLength}`);
    }
    into.set(this.#bytes.subarray(offset, offset + length));
    return into.subarray(0, length);
  }
}

/** Runs `work` with a folder of its own, which is removed afterwards. */
export async function inTemporaryFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'layer8-test-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Holds that `work` fails with an error of that class, that says `message` and advises `hint`. */
export async function expectFailure(
  work: Promise<unknown> | (() => Promise<unknown>),
  kind: abstract new (...args: never[]) => Layer8Error,
  message: RegExp,
  hint = /(?:)/,
): Promise<void> {
  const error = await (typeof work === 'function' ? work() : work).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(kind);
  expect((error as Layer8Error).message).toMatch(message);
  expect((error as Layer8Error).hint).toMatch(hint);
}
