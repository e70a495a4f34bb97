import { lstat, readFile, readdir, readlink, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { IoError, ModelError } from '../errors.ts';
import { diskError, makeFolder } from './disk.ts';
import { withLock } from './lock.ts';
import { isCommit } from './names.ts';

/**
 * Hugging Face's cache as it lies on disk, so that every tool on the machine shares one copy
 * (https://huggingface.co/docs/hub/local-cache):
 *
 *     CACHE/models--ORG--NAME/blobs/ETAG              content, named by its digest
 *     CACHE/models--ORG--NAME/snapshots/COMMIT/FILE   links to blobs; plain files where the system has no links
 *     CACHE/models--ORG--NAME/refs/BRANCH             the commit a branch or tag stood for when it was asked for
 *     CACHE/.locks/models--ORG--NAME/
 */
export interface ModelFolder {
  root: string;
  blobs: string;
  snapshots: string;
  refs: string;
  /** The lock of this program; other tools have theirs beside it. */
  lock: string;
}

export function modelFolder(cacheFolder: string, repo: string): ModelFolder {
  const name = `models--${repo.replaceAll('/', '--')}`;
  const root = join(cacheFolder, name);
  return {
    root,
    blobs: join(root, 'blobs'),
    snapshots: join(root, 'snapshots'),
    refs: join(root, 'refs'),
    lock: join(cacheFolder, '.locks', name, 'layer8.lock'),
  };
}

/** The repositories with a folder in the cache, in alphabetical order; none where there is no cache. */
export async function cachedRepos(cacheFolder: string): Promise<string[]> {
  const entries = await readdir(cacheFolder).catch(() => []);
  return entries
    .filter((name) => name.startsWith('models--'))
    .map((name) => name.slice('models--'.length).replace('--', '/'))
    .sort();
}

/** The commits of which a snapshot is in the cache. */
export async function cachedCommits(folder: ModelFolder): Promise<string[]> {
  return (await readdir(folder.snapshots).catch(() => [])).filter(isCommit).sort();
}

/** The commit that a branch or tag stood for when it was last asked for; null if it never was. */
export async function readRef(folder: ModelFolder, revision: string): Promise<string | null> {
  const text = await readFile(join(folder.refs, revision), 'utf8').catch(() => '');
  return isCommit(text.trim()) ? text.trim() : null;
}

/** Records what a branch or tag stands for. Only under the model's lock: the temporary file has one name. */
export async function writeRef(folder: ModelFolder, revision: string, commit: string): Promise<void> {
  const path = join(folder.refs, revision);
  if ((await readRef(folder, revision)) === commit) return;
  // Not beside the ref itself, where other tools would take it for one.
  const temporary = join(dirname(folder.lock), 'layer8.ref');
  await makeFolder(dirname(path));
  try {
    await writeFile(temporary, commit);
    await rename(temporary, path);
  } catch (error) {
    throw diskError(error, 'cannot write', path);
  }
}

export function blobPath(folder: ModelFolder, etag: string): string {
  return join(folder.blobs, etag);
}

/**
 * Lets a snapshot's file be the blob: by a relative link, or, where the system allows none (Windows without developer
 * mode, some network disks), by moving the blob there, as Hugging Face's own library does.
 * @returns how it was done
 * @throws IoError where the snapshot cannot be written
 */
export async function linkBlob(
  blob: string,
  pointer: string,
  link: typeof symlink = symlink,
): Promise<'linked' | 'moved'> {
  const target = relative(dirname(pointer), blob);
  await makeFolder(dirname(pointer));
  try {
    const old = await readlink(pointer).catch(() => null);
    if (old === target) return 'linked';
    await rm(pointer, { force: true });
    try {
      await link(target, pointer);
      return 'linked';
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'UNKNOWN'].includes(code)) throw error;
      await rename(blob, pointer);
      return 'moved';
    }
  } catch (error) {
    throw diskError(error, 'cannot write', pointer);
  }
}

/** The etag of the blob that a snapshot's file links to; null for a plain file. */
export async function linkedEtag(pointer: string): Promise<string | null> {
  const target = await readlink(pointer).catch(() => null);
  return target === null ? null : basename(target);
}

/** What a folder lacks to be run as a model, as file names; empty if it has everything. */
export async function missingFiles(folder: string): Promise<string[]> {
  const size = async (name: string) => (await stat(join(folder, name)).catch(() => null))?.size ?? 0;
  const missing: string[] = [];
  if (!(await size('config.json'))) missing.push('config.json');
  if (!(await size('tokenizer.json')) && !(await size('vocab.txt'))) missing.push('tokenizer.json');
  if (await size('model.safetensors')) return missing;
  const index = await readFile(join(folder, INDEX), 'utf8').catch(() => null);
  if (index === null) return [...missing, 'model.safetensors'];
  for (const shard of shardNames(index, join(folder, INDEX))) if (!(await size(shard))) missing.push(shard);
  return missing;
}

export const INDEX = 'model.safetensors.index.json';

/**
 * The shard files that an index names, each once, in order.
 * @throws ModelError where it is no index
 */
export function shardNames(text: string, from: string): string[] {
  let index: { weight_map?: unknown } | null;
  try {
    index = JSON.parse(text) as typeof index;
  } catch {
    throw new ModelError(`${from} is not JSON`);
  }
  const map = index?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw new ModelError(`${from} has no weight_map`);
  const names = Object.values(map);
  if (!names.every((name) => typeof name === 'string'))
    throw new ModelError(`${from}: its weight_map holds something that is no file name`);
  return [...new Set<string>(names)].sort();
}

/**
 * Deletes a model's folder from the cache, and nothing else. Waits for a download of it that is under way.
 * @returns bytes that it held
 * @throws ModelError where there is none
 * @throws IoError where the folder is a link to another place, or cannot be deleted
 */
export async function removeModel(cacheFolder: string, repo: string, signal?: AbortSignal): Promise<number> {
  const { root, lock } = modelFolder(cacheFolder, repo);
  const found = await lstat(root).catch(() => null);
  if (found === null)
    throw new ModelError(`${repo} is not in the cache ${cacheFolder}`, { hint: 'layer8 weights list shows what is.' });
  if (!found.isDirectory()) {
    throw new IoError(`refused to remove ${root}: it is a link or a file, no folder of the cache`, {
      hint: 'Remove it by hand.',
    });
  }
  return withLock(lock, { signal }, async () => {
    const bytes = await treeSize(root);
    try {
      await rm(root, { recursive: true, force: true });
    } catch (error) {
      throw diskError(error, 'cannot remove', root);
    }
    return bytes;
  });
}

/** Bytes of the files below a folder, links not counted. */
async function treeSize(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await lstat(join(entry.parentPath, entry.name)).catch(() => null))?.size ?? 0;
  }
  return bytes;
}
