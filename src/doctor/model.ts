import { readConfig } from '../bert/config.ts';
import type { BertConfig } from '../bert/config.ts';
import { bertNames } from '../bert/names.ts';
import { weightDtype } from '../bert/weights.ts';
import { openCheckpoint, openFolder } from '../checkpoint/checkpoint.ts';
import type { WeightDtype } from '../checkpoint/dtypes.ts';
import { INDEX_FILE, contents, readShardIndex } from '../checkpoint/shards.ts';
import type { ModelFolder } from '../checkpoint/source.ts';
import { Layer8Error } from '../errors.ts';
import { resolveModel } from '../hub/resolve.ts';
import { loadTokenizer } from '../text/load.ts';

/** A file of weights. */
export interface ExaminedFile {
  file: string;
  /** null where it is absent. */
  bytes: number | null;
  /** The parts of the model in it, in words; null for a model in one file. */
  holds: string | null;
}

/** A model folder and what of it can be used. */
export interface ExaminedModel {
  name: string;
  path: string;
  config: BertConfig | null;
  dtype: WeightDtype | null;
  /** The highest layer whose weights are there; null where that cannot be told. */
  reachable: number | null;
  files: ExaminedFile[];
  /** What is wrong, and what to do about it. */
  problems: { message: string; hint: string }[];
}

/**
 * Looks at a model's files, headers only. Whatever is wrong becomes one of its `problems`.
 * @param nameOrPath as `--model` takes it
 */
export async function examineModel(nameOrPath: string | undefined): Promise<ExaminedModel> {
  const model: ExaminedModel = {
    name: nameOrPath ?? '',
    path: '',
    config: null,
    dtype: null,
    reachable: null,
    files: [],
    problems: [],
  };
  /** Runs one examination; what it throws is noted. */
  const note = async <T>(run: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof Layer8Error)) throw error;
      model.problems.push({ message: error.message, hint: error.hint });
      return undefined;
    }
  };

  const found = await note(() => resolveModel(nameOrPath));
  if (found === undefined) return model;
  model.name = found.name;
  model.path = found.folder;
  const config = await note(() => readConfig(found.folder));
  await note(() => loadTokenizer(found.folder));
  const shards = await note(async () => readFiles(await openFolder(found.folder), model));
  if (config === undefined) return model;
  model.config = config;
  await note(async () => {
    await using checkpoint = await openCheckpoint(found.folder);
    const present = new Set(model.files.filter(({ bytes }) => bytes !== null).map(({ file }) => file));
    const has = (tensor: string): boolean =>
      checkpoint.has(tensor) && (shards === undefined || present.has(shards.get(tensor) ?? ''));
    model.reachable = reachableLayer(checkpoint, has, config);
    model.dtype = await weightDtype(checkpoint, config);
  });
  return model;
}

/** Notes the model's files. @returns file name by tensor name, for a model of several files */
async function readFiles(folder: ModelFolder, model: ExaminedModel): Promise<ReadonlyMap<string, string> | undefined> {
  const bytesOf = async (name: string): Promise<number | null> => {
    const source = await folder.open(name);
    const bytes = await source?.size();
    await source?.close?.();
    return bytes ?? null;
  };
  const single = await bytesOf('model.safetensors');
  if (single !== null) {
    model.files.push({ file: 'model.safetensors', bytes: single, holds: null });
    return undefined;
  }
  const index = await folder.open(INDEX_FILE);
  if (index === undefined) return undefined; // openCheckpoint says what is missing
  const shards = await readShardIndex(index).finally(() => index.close?.());
  for (const file of [...new Set(shards.values())].sort()) {
    const tensors = [...shards].filter(([, shard]) => shard === file).map(([tensor]) => tensor);
    model.files.push({ file, bytes: await bytesOf(file), holds: contents(tensors).text });
  }
  return shards;
}

/** The highest layer whose tensors, and those of all before it, are there; null where the embeddings are not. */
function reachableLayer(
  checkpoint: { has(name: string): boolean },
  has: (tensor: string) => boolean,
  config: BertConfig,
): number | null {
  const names = bertNames(checkpoint);
  const complete = (part: object): boolean =>
    Object.values(part).every((value: string | object) => (typeof value === 'string' ? has(value) : complete(value)));
  if (!complete(names.embeddings)) return null;
  let layer = 0;
  while (layer < config.numHiddenLayers && complete(names.layer(layer))) layer++;
  return layer;
}
