import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IoError } from '../errors.ts';
import { interrupted } from './failures.ts';

/** How the hub names a file's content: large files by SHA-256, small ones by the id of their git blob. */
export interface Digest {
  algorithm: 'sha256' | 'git-sha1';
  hex: string;
}

/** The digest that a blob's name in the cache stands for (the hub's etag), or null if it is neither form. */
export function digestOfEtag(etag: string): Digest | null {
  if (/^[0-9a-f]{64}$/.test(etag)) return { algorithm: 'sha256', hex: etag };
  if (/^[0-9a-f]{40}$/.test(etag)) return { algorithm: 'git-sha1', hex: etag };
  return null;
}

/**
 * Hex digest of a file of `size` bytes. A git blob's id is the SHA-1 of `blob SIZE\0` and the content.
 * @throws IoError where the file cannot be read, InterruptedError on the signal
 */
export async function hashFile(
  path: string,
  size: number,
  algorithm: Digest['algorithm'],
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm === 'sha256' ? 'sha256' : 'sha1');
  if (algorithm === 'git-sha1') hash.update(`blob ${size}\0`);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, ...(signal && { signal }) }))
      hash.update(chunk);
  } catch (error) {
    if (signal?.aborted) throw interrupted();
    throw diskError(error, 'cannot read', path);
  }
  return hash.digest('hex');
}

/**
 * Says before a long download that it cannot fit, rather than after it.
 * @throws IoError where the file system reports fewer free bytes than needed
 */
export async function checkFreeSpace(folder: string, bytes: number): Promise<void> {
  const disk = await statfs(folder, { bigint: true }).catch(() => null);
  // Some network file systems report no blocks at all: that is no statement about free space.
  if (disk === null || disk.blocks === 0n) return;
  const free = disk.bavail * disk.bsize;
  if (free < BigInt(bytes)) {
    throw new IoError(
      `the disk is too full for the download: ${formatBytes(bytes)} needed, ${formatBytes(Number(free))} free in ${folder}`,
      {
        hint: 'Free some space, or set HF_HOME to a folder on another disk.',
      },
    );
  }
}

/**
 * Creates a folder and those above it. Not by mkdir's own `recursive`: that never returns where a file system says
 * "no such folder" of a new one in a folder that is there, as /proc does (Node 20).
 * @throws IoError
 */
export async function makeFolder(path: string): Promise<void> {
  const make = () =>
    mkdir(path).then(
      () => null,
      (error: NodeJS.ErrnoException) => error,
    );
  let failure = await make();
  if (failure?.code === 'ENOENT' && dirname(path) !== path) {
    await makeFolder(dirname(path));
    failure = await make();
  }
  if (failure === null || (await stat(path).catch(() => null))?.isDirectory()) return;
  throw diskError(failure, 'cannot create the folder', path);
}

/** The typed error of a failed file operation; an error that is already typed, or an abort, goes through unchanged. */
export function diskError(error: unknown, what: string, path: string): Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^E[A-Z0-9]+$/.test(code)) return error instanceof Error ? error : new Error(String(error));
  const reason = REASONS[code] ?? code;
  return new IoError(`${what} ${path}: ${reason}`, { hint: HINTS[code] ?? '', cause: error });
}

const REASONS: Record<string, string> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of the path is a file, not a folder',
  EEXIST: 'a file is in the way',
  EISDIR: 'a folder is in the way',
  ELOOP: 'the symbolic links run in a circle',
  ENAMETOOLONG: 'the name is too long',
  EFBIG: 'the file system takes no file of this size',
  EIO: 'the disk reports an input/output error',
  EMFILE: 'too many open files',
};

const ELSEWHERE = 'Set HF_HOME to a folder that can be written.';
const HINTS: Record<string, string> = {
  ENOSPC:
    'Free some space and run the command again: it goes on where it stopped. Or set HF_HOME to a folder on another disk.',
  EDQUOT:
    'Free some space and run the command again: it goes on where it stopped. Or set HF_HOME to a folder on another disk.',
  EROFS: ELSEWHERE,
  EACCES: ELSEWHERE,
  EPERM: ELSEWHERE,
  ENOTDIR: ELSEWHERE,
  EEXIST: ELSEWHERE,
};

/** Bytes as a person reads them, in powers of ten: `440.4 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'];
  let unit = 0;
  let value = bytes;
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
