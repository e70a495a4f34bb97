import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedCommits, cachedRepos, missingFiles, modelFolder } from './cache.ts';
import { DEFAULT_NAME } from './known.ts';
import type { HubSettings } from './settings.ts';

/** A model on this machine. */
export interface ModelEntry {
  name: string;
  /** The commit; null for the weights that a clone carries. */
  revision: string | null;
  source: 'package' | 'cache';
  /** Of the files in the folder, links followed. */
  bytes: number;
  complete: boolean;
  folder: string;
}

/**
 * Every BERT on this machine that `--model` would find: the clone's, and those in Hugging Face's cache, whichever tool put
 * them there. Models of other architectures in the cache are passed over.
 */
export async function listModels(settings: HubSettings, packaged: string | null): Promise<ModelEntry[]> {
  const entries: ModelEntry[] = [];
  if (packaged !== null) {
    const bytes = await folderSize(packaged);
    entries.push({ name: DEFAULT_NAME, revision: null, source: 'package', bytes, complete: true, folder: packaged });
  }
  for (const repo of await cachedRepos(settings.cacheFolder)) {
    const model = modelFolder(settings.cacheFolder, repo);
    for (const revision of await cachedCommits(model)) {
      const folder = join(model.snapshots, revision);
      if (!(await isBert(folder))) continue;
      const complete = await missingFiles(folder).then(
        (missing) => missing.length === 0,
        () => false,
      );
      entries.push({ name: repo, revision, source: 'cache', bytes: await folderSize(folder), complete, folder });
    }
  }
  return entries;
}

async function isBert(folder: string): Promise<boolean> {
  try {
    const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as { model_type?: unknown } | null;
    return config?.model_type === 'bert';
  } catch {
    return false;
  }
}

async function folderSize(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    const found = await stat(join(folder, name)).catch(() => null);
    if (found?.isFile()) bytes += found.size;
  }
  return bytes;
}
