import { readFile, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readAllF32, readAllI32 } from '../checkpoint/read.ts';
import { tensorRef } from '../checkpoint/checkpoint.ts';
import type { TensorRef } from '../checkpoint/checkpoint.ts';
import type { WeightDtype } from '../checkpoint/dtypes.ts';
import { FileSource } from '../checkpoint/file.ts';
import { openSafetensors } from '../checkpoint/safetensors.ts';
import { InputError } from '../errors.ts';
import { expectedOf } from './expected.ts';
import type { Expected } from './expected.ts';

/** One sequence whose states are known. */
export interface ReferenceCase {
  readonly name: string;
  readonly ids: Int32Array;
  readonly typeIds: Int32Array;
  /** By stage: `hidden_states.L`, `layer.L.attention.probs`, `layer.L.attention.query`, …, as forward.ts names them. */
  readonly stages: ReadonlyMap<string, Float32Array>;
  /** TAS, θ and buckets at a layer, where its hidden states are known. */
  expected(layer: number): Expected | undefined;
}

/** Cases of one model. */
export interface ReferenceSet {
  readonly folder: string;
  /** The folder of the model, where it lies beside its reference; else the one the user names. */
  readonly model: string | undefined;
  readonly cases: readonly ReferenceCase[];
}

const MODEL_REFERENCE = 'reference.safetensors';
const EXPECTED = 'expected.json';

/**
 * Reads a folder of reference data. It holds one of these:
 * - NAME.safetensors for each case, with `input_ids` [T], where there are pairs `token_type_ids` [T], and `hidden_states.L` [T, H] for
 *   the layers that are known; optionally `layer.L.attention.probs` [A, T, T] and other stages;
 * - a model (config.json, model.safetensors) and reference.safetensors, with the same keys behind the number of a case: `0.input_ids`;
 * - folders of these.
 * @throws InputError where there is no reference data, or it is malformed
 */
export async function readReference(folder: string): Promise<ReferenceSet[]> {
  const entries = await readdir(folder).catch((cause: unknown) => {
    throw new InputError(`cannot read the reference folder ${folder}`, { cause });
  });
  const sets = (
    await Promise.all(
      entries
        .sort()
        .map(async (entry) => ((await isFolder(join(folder, entry))) ? readReference(join(folder, entry)) : [])),
    )
  ).flat();
  if (entries.includes(MODEL_REFERENCE)) {
    const tensors = await readTensors(join(folder, MODEL_REFERENCE));
    const numbers = [...new Set(Array.from(tensors.keys(), (key) => key.slice(0, key.indexOf('.'))))];
    const cases = numbers.map((number) =>
      makeCase(`${basename(folder)} ${number}`, numbered(tensors, number), undefined),
    );
    return [...sets, { folder, model: folder, cases }];
  }
  const files = entries.filter((entry) => entry.endsWith('.safetensors') && !entry.startsWith('model'));
  if (files.length > 0) {
    const recorded = await readExpected(join(folder, EXPECTED));
    const cases = await Promise.all(
      files.map(async (file) => {
        const name = basename(file, '.safetensors');
        return makeCase(name, await readTensors(join(folder, file)), recorded[name]);
      }),
    );
    sets.push({ folder, model: undefined, cases: cases.sort((a, b) => a.ids.length - b.ids.length) });
  }
  if (sets.length === 0) {
    throw new InputError(`no reference data in ${folder}`, {
      hint: 'It holds NAME.safetensors with input_ids [T] and hidden_states.L [T, H]: see the README, which shows how to write one.',
    });
  }
  return sets;
}

function numbered(
  tensors: ReadonlyMap<string, Float32Array | Int32Array>,
  number: string,
): Map<string, Float32Array | Int32Array> {
  const own = new Map<string, Float32Array | Int32Array>();
  for (const [key, tensor] of tensors) {
    if (!key.startsWith(`${number}.`)) continue;
    const name = key.slice(number.length + 1);
    // Hugging Face counts attentions by layer: those of layer L are the probabilities inside encoder layer L.
    own.set(name.replace(/^attentions\.(\d+)$/, 'layer.$1.attention.probs'), tensor);
  }
  return own;
}

function makeCase(
  name: string,
  tensors: ReadonlyMap<string, Float32Array | Int32Array>,
  recorded: unknown,
): ReferenceCase {
  const ids = tensors.get('input_ids');
  if (!(ids instanceof Int32Array)) throw new InputError(`reference ${name} has no input_ids of I32`);
  const types = tensors.get('token_type_ids');
  const stages = new Map<string, Float32Array>();
  for (const [key, tensor] of tensors) if (tensor instanceof Float32Array) stages.set(key, tensor);
  return {
    name,
    ids,
    typeIds: types instanceof Int32Array ? types : new Int32Array(ids.length),
    stages,
    expected: (layer) => {
      const states = stages.get(`hidden_states.${layer}`);
      return states && expectedOf(ids, states, layer, recorded);
    },
  };
}

async function readTensors(path: string): Promise<Map<string, Float32Array | Int32Array>> {
  const source = await FileSource.open(path);
  if (!source) throw new InputError(`${path} is gone`);
  try {
    const file = await openSafetensors(source);
    const tensors = new Map<string, Float32Array | Int32Array>();
    for (const info of file.tensors.values()) {
      const ref = tensorRef(file, info);
      tensors.set(
        info.name,
        info.dtype === 'I32' ? await readAllI32(ref) : await readAllF32(ref as TensorRef<WeightDtype>),
      );
    }
    return tensors;
  } finally {
    await source.close();
  }
}

async function readExpected(path: string): Promise<Record<string, unknown>> {
  const text = await readFile(path, 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new InputError(`${path} is not JSON`, { cause });
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory();
}
