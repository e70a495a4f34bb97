import { existsSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ModelError } from '../errors.ts';
import { cachedCommits, missingFiles, modelFolder, readRef } from './cache.ts';
import { DEFAULT_NAME, DEFAULT_REPO, canonicalRepo, knownModel } from './known.ts';
import { isCommit, isModelName, parseModelName } from './names.ts';
import type { ModelName } from './names.ts';
import { hubSettings } from './settings.ts';

export interface ResolvedModel {
  /** The folder with config.json, tokenizer and weights. */
  folder: string;
  /** How the model is called in results: `ORG/NAME`, or the folder's own name. */
  name: string;
}

export interface ResolveOptions {
  env?: NodeJS.ProcessEnv;
  /** Where the weights of a clone lie; null if the package carries none. */
  packaged?: string | null;
}

/**
 * The folder of what `--model` names: a folder, as it is; a model of the hub, as it lies in Hugging Face's cache; nothing,
 * for the weights that a clone carries or else their original in the cache. Never makes a request.
 * @throws ModelError where there is nothing, saying how to get it
 */
export async function resolveModel(
  nameOrPath: string | undefined,
  options: ResolveOptions = {},
): Promise<ResolvedModel> {
  const env = options.env ?? process.env;
  const packaged = options.packaged === undefined ? packagedWeights() : options.packaged;
  if (nameOrPath === undefined) return resolveDefault(env, packaged);
  const found = await stat(nameOrPath).catch(() => null);
  if (found?.isDirectory()) return { folder: nameOrPath, name: basename(resolve(nameOrPath)) };
  if (found !== null) {
    throw new ModelError(`the model must be a folder, and ${nameOrPath} is a file`, {
      hint: 'Give the folder that holds config.json, the tokenizer and model.safetensors, or the name of a model on the hub.',
    });
  }
  if (nameOrPath === DEFAULT_NAME) return resolveDefault(env, packaged);
  if (!isModelName(nameOrPath)) throw new ModelError(`no such folder: ${nameOrPath}`, { hint: FORMS });
  const name = parseModelName(nameOrPath);
  const folder = await findInCache(name, env);
  if (folder !== null) return { folder, name: name.repo };
  throw new ModelError(`no such folder, and no such model in the cache: ${nameOrPath}`, {
    hint: `layer8 weights pull ${nameOrPath} downloads it from the Hugging Face hub, if it is a model there.`,
  });
}

const FORMS =
  "Give a folder in Hugging Face's layout, or the name of a model on the hub: ORG/NAME or ORG/NAME@revision.";

async function resolveDefault(env: NodeJS.ProcessEnv, packaged: string | null): Promise<ResolvedModel> {
  if (packaged !== null) return { folder: packaged, name: DEFAULT_NAME };
  const folder = await findInCache({ repo: DEFAULT_REPO, revision: null }, env);
  if (folder !== null) return { folder, name: DEFAULT_REPO };
  throw new ModelError('no model: this package carries no weights, and none were downloaded yet', {
    hint: `layer8 weights pull ${DEFAULT_REPO} downloads BERT-base (440 MB) once. --model DIR uses a folder.`,
  });
}

/**
 * The snapshot of a model in Hugging Face's cache, whichever tool put it there; null if the cache has none.
 * Without a revision: a known model's pinned commit, else what `main` was, else the only snapshot there is.
 * @throws ModelError where the snapshot lacks files, or several could be meant
 */
export async function findInCache(name: ModelName, env: NodeJS.ProcessEnv): Promise<string | null> {
  const repo = canonicalRepo(name.repo);
  const folder = modelFolder(hubSettings(env).cacheFolder, repo);
  const commits = await cachedCommits(folder);
  const commit = await chooseCommit(repo, name.revision, commits, (ref) => readRef(folder, ref));
  if (commit === null || !commits.includes(commit)) return null;
  const snapshot = join(folder.snapshots, commit);
  const missing = await missingFiles(snapshot);
  if (missing.length > 0) {
    const again = `${repo}${name.revision === null ? '' : `@${name.revision}`}`;
    throw new ModelError(`${repo} is not complete in the cache: ${missing.join(', ')} missing in ${snapshot}`, {
      hint: `layer8 weights pull ${again} fetches what is missing.`,
    });
  }
  return snapshot;
}

async function chooseCommit(
  repo: string,
  revision: string | null,
  commits: string[],
  ref: (name: string) => Promise<string | null>,
): Promise<string | null> {
  if (revision !== null) return isCommit(revision) ? revision : ref(revision);
  const pinned = knownModel(repo)?.revision;
  if (pinned !== undefined && commits.includes(pinned)) return pinned;
  const main = await ref('main');
  if (main !== null && commits.includes(main)) return main;
  if (commits.length > 1) {
    throw new ModelError(`several revisions of ${repo} are in the cache: ${commits.join(', ')}`, {
      hint: `Name one: ${repo}@${commits[0]}.`,
    });
  }
  return commits[0] ?? null;
}

/** The weights beside the source in a clone, or null: the npm package carries none. */
export function packagedWeights(): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (isPackageRoot(folder)) {
      const weights = join(folder, 'weights', DEFAULT_NAME);
      return existsSync(join(weights, 'config.json')) ? weights : null;
    }
    if (folder === dirname(folder)) return null;
  }
}

function isPackageRoot(folder: string): boolean {
  try {
    return (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string }).name === 'layer8';
  } catch {
    return false;
  }
}

/** How results name a folder: from the working directory where it lies below, so that those of two clones are the same. */
export function pathFromHere(folder: string): string {
  const below = relative('', folder);
  return below === '' || below.startsWith('..') || isAbsolute(below) ? folder : below;
}
