import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IoError, ModelError } from '../errors.ts';
import {
  INDEX,
  blobPath,
  linkBlob,
  linkedEtag,
  missingFiles,
  modelFolder,
  readRef,
  shardNames,
  writeRef,
} from './cache.ts';
import type { ModelFolder } from './cache.ts';
import { diskError, formatBytes, hashFile } from './disk.ts';
import { downloadFile } from './download.ts';
import type { HubFile, HubModel } from './hub.ts';
import { describeFile, fetchModel, fileAddress } from './hub.ts';
import { knownModel } from './known.ts';
import { withLock } from './lock.ts';
import type { ModelName } from './names.ts';
import { checkServerPath, isCommit } from './names.ts';
import type { HubSettings } from './settings.ts';
import { CHECKSUMS, readChecksums } from './verify.ts';

/** What a pull tells whoever shows it. */
export interface PullEvents {
  onWait?: () => void;
  onFile?: (name: string, size: number) => void;
  /** Bytes of the current file that are on disk. */
  onBytes?: (bytes: number) => void;
}

export interface Pulled {
  repo: string;
  commit: string;
  /** The snapshot folder. */
  folder: string;
  /** Bytes of the files that this call downloaded; 0 if all were there. */
  downloaded: number;
}

const SMALL_FILES = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'vocab.txt'];
const WEIGHTS = 'model.safetensors';
/** An index of ten thousand tensors has about a megabyte. */
const INDEX_LIMIT = 64 << 20;

/**
 * Brings the files that a model needs into the cache: configuration, tokenizer, and the weights as safetensors, which
 * come last, so that a snapshot with weights is a whole one. Without a revision a known model's pinned commit is taken,
 * else `main`. Any number of processes may pull the same model at once: one downloads, the others wait for it.
 * @throws IoError, ModelError, InterruptedError
 */
export async function pullModel(
  name: ModelName,
  settings: HubSettings,
  events: PullEvents = {},
  signal?: AbortSignal,
): Promise<Pulled> {
  const { repo } = name;
  const revision = name.revision ?? knownModel(repo)?.revision ?? 'main';
  const folder = modelFolder(settings.cacheFolder, repo);
  const present = await alreadyThere(folder, repo, revision, settings);
  if (present !== null) return present;
  if (settings.offline) {
    throw new IoError(
      `HF_HUB_OFFLINE is set, and ${repo}@${revision} is not complete in the cache ${settings.cacheFolder}`,
      {
        hint: 'Unset HF_HUB_OFFLINE to download it.',
      },
    );
  }
  return withLock(folder.lock, { signal, onWait: events.onWait }, async () => {
    const model = await fetchModel(repo, revision, settings, signal);
    const snapshot = join(folder.snapshots, model.commit);
    const task: PullTask = { model, folder, snapshot, settings, events, signal, downloaded: 0 };
    const weights = weightFile(model);
    for (const fileName of SMALL_FILES) if (model.files.has(fileName)) await bring(fileName, task);
    await bring(weights, task);
    if (weights === INDEX) for (const shard of await shardsOf(task)) await bring(shard, task);
    await recordRef(folder, revision, model.commit);
    return { repo, commit: model.commit, folder: snapshot, downloaded: task.downloaded };
  });
}

/** A pull under way. */
interface PullTask {
  model: HubModel;
  folder: ModelFolder;
  snapshot: string;
  settings: HubSettings;
  events: PullEvents;
  signal: AbortSignal | undefined;
  /** Bytes, so far. */
  downloaded: number;
}

/**
 * The snapshot, where no request is needed to know that it is complete: a commit always names the same files. Offline, a
 * branch stands for what it stood for when it was last asked for.
 */
async function alreadyThere(
  folder: ModelFolder,
  repo: string,
  revision: string,
  settings: HubSettings,
): Promise<Pulled | null> {
  const commit = isCommit(revision) ? revision : settings.offline ? await readRef(folder, revision) : null;
  if (commit === null) return null;
  const snapshot = join(folder.snapshots, commit);
  if ((await missingFiles(snapshot).catch(() => ['an index that can be read'])).length > 0) return null;
  // Another tool may have fetched the weights and left out what only a tokenizer reads.
  if (!settings.offline && (await stat(join(snapshot, 'tokenizer_config.json')).catch(() => null)) === null)
    return null;
  const known = knownModel(repo);
  for (const [name, { size }] of Object.entries(known?.revision === commit ? known.files : {})) {
    if ((await stat(join(snapshot, name)).catch(() => null))?.size !== size) return null;
  }
  return { repo, commit, folder: snapshot, downloaded: 0 };
}

/** The file that holds the weights, or the index of those that do. */
function weightFile(model: HubModel): string {
  for (const name of [WEIGHTS, INDEX]) if (model.files.has(name)) return name;
  const others = [...model.files.keys()].filter((name) =>
    /^[^/]*\.(safetensors|bin|pt|h5|msgpack|gguf|onnx)$/.test(name),
  );
  const instead = others.length > 0 ? ` (it has ${others.slice(0, 4).join(', ')})` : '';
  throw new ModelError(`${model.repo} at ${model.commit} has no model.safetensors${instead}`, {
    hint: 'layer8 reads safetensors only. Many models carry them on a branch: try @refs/pr/1, or a model that was converted.',
  });
}

/** The shards that the index in the snapshot names; each is a file of the model. */
async function shardsOf({ model, snapshot }: PullTask): Promise<string[]> {
  const from = `${INDEX} of ${model.repo}`;
  const shards = shardNames(await readFile(join(snapshot, INDEX), 'utf8'), from);
  for (const name of shards) {
    checkServerPath(name, from);
    if (!model.files.has(name)) throw new ModelError(`${from} names ${name}, which the model does not have`);
  }
  return shards;
}

/** The file, if it is what is pinned here for this commit. */
function pinned(file: HubFile, model: HubModel): HubFile {
  const known = knownModel(model.repo);
  const pin = known?.revision === model.commit ? known.files[file.name] : undefined;
  if (pin !== undefined && (file.size !== pin.size || file.digest.hex !== pin.sha256)) {
    throw new IoError(
      `the hub describes another ${file.name} of ${model.repo} than the one known here: ${file.size} bytes, ${file.digest.algorithm} ${file.digest.hex}, ` +
        `instead of ${pin.size} bytes, sha256 ${pin.sha256}; nothing was downloaded`,
      { hint: 'Check HF_ENDPOINT: a mirror must have the same files as the hub.' },
    );
  }
  return file;
}

/** Brings one file into the snapshot; downloads it if neither the snapshot nor the model's blobs have it. */
async function bring(name: string, task: PullTask): Promise<void> {
  const { model, folder, snapshot, settings, events, signal } = task;
  const file = pinned(await describeFile(model, name, settings, signal), model);
  if (name === INDEX && file.size > INDEX_LIMIT) {
    throw new ModelError(`${INDEX} of ${model.repo} has ${formatBytes(file.size)}, too much for an index`);
  }
  const pointer = join(snapshot, name);
  if (await isThere(pointer, file)) return;
  const target = blobPath(folder, file.digest.hex);
  if ((await stat(target).catch(() => null))?.size !== file.size) {
    events.onFile?.(name, file.size);
    const address = fileAddress(model, name, settings);
    await downloadFile({ repo: model.repo, file, address, target, settings, signal, onBytes: events.onBytes });
    task.downloaded += file.size;
  }
  if ((await linkBlob(target, pointer)) === 'moved') await recordChecksum(pointer, snapshot, file);
}

/** Whether the snapshot has this very file already. */
async function isThere(pointer: string, file: HubFile): Promise<boolean> {
  if ((await stat(pointer).catch(() => null))?.size !== file.size) return false;
  const etag = await linkedEtag(pointer);
  if (etag !== null) return etag === file.digest.hex;
  return (await hashFile(pointer, file.size, file.digest.algorithm)) === file.digest.hex;
}

/** A file that is no link does not carry its digest in the name of its blob: SHA256SUMS does. */
async function recordChecksum(pointer: string, snapshot: string, file: HubFile): Promise<void> {
  const sums = (await readChecksums(snapshot)) ?? new Map<string, string>();
  sums.set(file.name, await hashFile(pointer, file.size, 'sha256'));
  const path = join(snapshot, CHECKSUMS);
  try {
    await writeFile(path, [...sums].map(([name, hex]) => `${hex}  ${name}\n`).join(''));
  } catch (error) {
    throw diskError(error, 'cannot write', path);
  }
}

/**
 * Records what a named revision stands for. A commit that was taken because it is pinned was once `main`, and other
 * tools look for `main` when they are offline: it becomes that, unless the cache knows better.
 */
async function recordRef(folder: ModelFolder, revision: string, commit: string): Promise<void> {
  if (!isCommit(revision)) await writeRef(folder, revision, commit);
  else if ((await readRef(folder, 'main')) === null) await writeRef(folder, 'main', commit);
}
