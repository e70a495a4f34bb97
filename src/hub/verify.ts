import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelError } from '../errors.ts';
import { linkedEtag } from './cache.ts';
import type { Digest } from './disk.ts';
import { digestOfEtag, hashFile } from './disk.ts';
import type { KnownModel } from './known.ts';

/** File of `sha256sum`'s form, beside the files it is about. */
export const CHECKSUMS = 'SHA256SUMS';

/** What was found about one file of a model. */
export interface FileCheck {
  file: string;
  /** null if the file is missing. */
  bytes: number | null;
  /** `unrecorded`: nothing is known that it could be compared to. */
  status: 'ok' | 'wrong size' | 'wrong checksum' | 'missing' | 'unrecorded';
  expected: string | null;
  found: string | null;
}

/**
 * Compares every file of a model's folder to what is recorded of it: a pinned size and SHA-256, SHA256SUMS in the folder,
 * or the digest that its blob in a Hugging Face cache is named by.
 * @param known the pins of this commit, if it is a known one
 * @throws ModelError where there is no folder, or SHA256SUMS is malformed
 * @throws IoError where a file cannot be read
 */
export async function verifyFolder(
  folder: string,
  known: KnownModel | null,
  signal?: AbortSignal,
): Promise<FileCheck[]> {
  const entries = await readdir(folder).catch(() => null);
  if (entries === null) throw new ModelError(`no such folder: ${folder}`);
  const sums = await readChecksums(folder);
  const names = new Set([...entries, ...(sums?.keys() ?? []), ...Object.keys(known?.files ?? {})]);
  const checks: FileCheck[] = [];
  for (const file of [...names].sort()) {
    if (file === CHECKSUMS || file.startsWith('.')) continue;
    const pin = known?.files[file];
    const expected = pin ? ({ algorithm: 'sha256', hex: pin.sha256 } as const) : await recorded(folder, file, sums);
    const check = await checkFile(join(folder, file), file, expected, pin?.size ?? null, signal);
    if (check !== null) checks.push(check);
  }
  return checks;
}

async function recorded(folder: string, file: string, sums: Map<string, string> | null): Promise<Digest | null> {
  const sum = sums?.get(file);
  if (sum !== undefined) return { algorithm: 'sha256', hex: sum };
  return digestOfEtag((await linkedEtag(join(folder, file))) ?? '');
}

/** null for a folder, which is no file of the model. */
async function checkFile(
  path: string,
  file: string,
  expected: Digest | null,
  size: number | null,
  signal?: AbortSignal,
): Promise<FileCheck | null> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory()) return null;
  const check = { file, bytes: found?.size ?? null, expected: expected?.hex ?? null, found: null };
  if (found === null) return { ...check, status: 'missing' };
  if (size !== null && found.size !== size)
    return { ...check, status: 'wrong size', expected: `${size} bytes`, found: `${found.size} bytes` };
  if (expected === null) return { ...check, status: 'unrecorded' };
  const hex = await hashFile(path, found.size, expected.algorithm, signal);
  return { ...check, status: hex === expected.hex ? 'ok' : 'wrong checksum', found: hex };
}

/**
 * The folder's SHA256SUMS: hex digests by file name; null where there is none.
 * @throws ModelError where a line is malformed or names a file outside the folder
 */
export async function readChecksums(folder: string): Promise<Map<string, string> | null> {
  const text = await readFile(join(folder, CHECKSUMS), 'utf8').catch(() => null);
  if (text === null) return null;
  const sums = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    const match = /^([0-9a-fA-F]{64}) [ *](?:\.\/)?([^/\\]+)$/.exec(line);
    if (match === null) {
      throw new ModelError(
        `${join(folder, CHECKSUMS)}, line ${index + 1}: not a SHA-256 and the name of a file of this folder`,
      );
    }
    sums.set(match[2], match[1].toLowerCase());
  }
  return sums;
}
