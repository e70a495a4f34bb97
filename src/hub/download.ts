import { constants, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IoError } from '../errors.ts';
import { checkFreeSpace, diskError, formatBytes, hashFile, makeFolder } from './disk.ts';
import { TransientError, statusError } from './failures.ts';
import type { Answer } from './http.ts';
import { request, withRetries } from './http.ts';
import type { HubFile } from './hub.ts';
import type { HubSettings } from './settings.ts';

export interface DownloadJob {
  repo: string;
  file: HubFile;
  address: string;
  /** Where the file lies once it is whole and checked. */
  target: string;
  settings: HubSettings;
  signal?: AbortSignal | undefined;
  /** Called with the bytes that are on disk, first of all with those of an earlier run. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * The name of a download under way, beside its target. Hugging Face's own library names its partial files `ETAG.incomplete`
 * and may be writing one at the same moment; tools that clear a cache know both by their end.
 */
export function partialPath(target: string): string {
  return `${target}.layer8.incomplete`;
}

/**
 * Downloads one file to `target`: into a partial file that a later call goes on with, whether the connection was cut or
 * the process killed; renamed only once size and digest are right. If they are wrong, it is fetched once more from the
 * start (the partial file may have been damaged, or the bytes on the way), and then nothing is kept.
 * @throws IoError, InterruptedError
 */
export async function downloadFile(job: DownloadJob): Promise<void> {
  const { file, target, settings, signal } = job;
  const partial = partialPath(target);
  let onDisk = await sizeOf(partial);
  const report = (bytes: number) => {
    onDisk = bytes;
    job.onBytes?.(bytes);
  };
  await makeFolder(dirname(target));
  await checkFreeSpace(dirname(target), file.size - Math.min(onDisk, file.size));
  for (let round = 1; ; round++) {
    // The strong ETag of the last answer: with it, a server whose file has changed meanwhile sends all of it.
    let validator: string | null = null;
    const attempt = async () => {
      const have = await keptBytes(partial, file.size);
      report(have);
      if (have === file.size && have > 0) return;
      const headers = {
        ...(have > 0 && { range: `bytes=${have}-` }),
        ...(have > 0 && validator && { 'if-range': validator }),
      };
      const answer = await request(job.address, { settings, signal, headers });
      try {
        const start = await startOf(answer, job, have, partial);
        const etag = answer.headers.get('etag') ?? '';
        validator = /^"[^"]*"$/.test(etag) ? etag : null;
        await write(answer, job, partial, start, report);
      } finally {
        answer.close();
      }
    };
    await withRetries(settings, signal, attempt, () => onDisk);
    const found = await hashFile(partial, file.size, file.digest.algorithm, signal);
    if (found === file.digest.hex) break;
    await rm(partial, { force: true });
    onDisk = 0;
    if (round === 2) {
      throw new IoError(
        `${file.name} of ${job.repo} has the wrong ${file.digest.algorithm}: ${found} instead of ${file.digest.hex}; nothing was kept`,
        {
          hint: 'Something between the hub and this machine alters the file, or the mirror holds another one: check HF_ENDPOINT.',
        },
      );
    }
  }
  try {
    await rename(partial, target);
  } catch (error) {
    throw diskError(error, 'cannot write', target);
  }
}

/** Bytes that the partial file of an earlier try has; one that is too long is no beginning of the file, and is removed. */
async function keptBytes(partial: string, size: number): Promise<number> {
  const have = await sizeOf(partial);
  if (have <= size) return have;
  await rm(partial, { force: true });
  return 0;
}

/** Byte of the file at which the answer's body starts. Refuses an answer that cannot be the file. */
async function startOf(answer: Answer, job: DownloadJob, have: number, partial: string): Promise<number> {
  const { file, settings } = job;
  const announced = answer.headers.get('content-length');
  if (answer.status === 200) {
    const encoded = answer.headers.has('content-encoding');
    if (announced !== null && !encoded && Number(announced) !== file.size)
      throw await wrongSize(job, partial, announced);
    return 0;
  }
  if (answer.status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(answer.headers.get('content-range') ?? '');
    if (range?.[2] !== undefined && range[2] !== '*' && Number(range[2]) !== file.size)
      throw await wrongSize(job, partial, range[2]);
    if (range === null || Number(range[1]) !== have) {
      await rm(partial, { force: true });
      throw new TransientError(`${answer.from} sent another part of ${file.name} than the one asked for`);
    }
    return have;
  }
  if (answer.status === 416) {
    const total = /^bytes \*\/(\d+)$/.exec(answer.headers.get('content-range') ?? '')?.[1];
    throw await wrongSize(job, partial, total ?? `at most ${have}`);
  }
  throw statusError(answer, `${file.name} of ${job.repo}`, job.repo, settings);
}

/**
 * Writes the body at its place. Without truncating: where a server sends all of it again, what an earlier run left beyond
 * is still the same file's bytes, or fails the check.
 */
async function write(
  answer: Answer,
  job: DownloadJob,
  partial: string,
  start: number,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const { file } = job;
  let end = start;
  try {
    const output = await open(partial, constants.O_RDWR | constants.O_CREAT);
    try {
      for await (const chunk of answer.chunks()) {
        if (end + chunk.length > file.size) throw await wrongSize(job, partial, `more than ${file.size}`);
        let written = 0;
        while (written < chunk.length) {
          const { bytesWritten } = await output.write(chunk, written, chunk.length - written, end + written);
          written += bytesWritten;
        }
        end += chunk.length;
        onBytes(end);
      }
      // The rename must not reach the disk before the bytes do.
      if (end === file.size) await output.sync();
    } finally {
      await output.close();
    }
  } catch (error) {
    throw diskError(error, 'cannot write', partial);
  }
  if (end < file.size) {
    throw new TransientError(
      `the download of ${file.name} was cut off at ${formatBytes(end)} of ${formatBytes(file.size)}`,
      {
        hint: 'Run the command again: it goes on where it stopped.',
      },
    );
  }
}

async function wrongSize(job: DownloadJob, partial: string, found: string): Promise<IoError> {
  await rm(partial, { force: true });
  return new IoError(
    `${job.file.name} of ${job.repo} has the wrong size: ${found} bytes instead of ${job.file.size}; nothing was kept`,
    {
      hint: 'Something between the hub and this machine alters the file, or the mirror holds another one: check HF_ENDPOINT.',
    },
  );
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => null))?.size ?? 0;
}
