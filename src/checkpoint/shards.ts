import { ModelError } from '../errors.ts';
import { quoted, shown } from './json.ts';
import { readText } from './source.ts';
import type { ByteSource } from './source.ts';

/** The index of a checkpoint of several files, as Hugging Face writes it. */
export const INDEX_FILE = 'model.safetensors.index.json';
const MAX_INDEX_BYTES = 100_000_000;
const EMBEDDINGS = 'the embeddings';

/**
 * Reads an index: which file holds which tensor.
 * @returns file name by tensor name
 * @throws ModelError where it is not such an index, or names a file outside of its folder
 */
export async function readShardIndex(source: ByteSource): Promise<ReadonlyMap<string, string>> {
  const text = await readText(source, MAX_INDEX_BYTES);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${source.name} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const weightMap = isObject(json) ? json['weight_map'] : undefined;
  if (!isObject(weightMap)) throw new ModelError(`${source.name} has no "weight_map" of tensor and file names`);
  const shards = new Map<string, string>();
  for (const [tensor, file] of Object.entries(weightMap)) {
    if (typeof file !== 'string' || !isPlainFileName(file)) {
      throw new ModelError(
        `${source.name} places tensor ${quoted(tensor)} in ${shown(file)}, which is no name of a file beside it`,
      );
    }
    shards.set(tensor, file);
  }
  return shards;
}

/**
 * The error for a file that the index names and the folder lacks: what the file would hold, and which layers run
 * without it.
 */
export function missingShard(
  folder: string,
  file: string,
  shards: ReadonlyMap<string, string>,
  needed: string,
): ModelError {
  const held = [...shards].filter(([, shard]) => shard === file).map(([tensor]) => tensor);
  const { layers, others, text } = contents(held);
  const first = layers[0] ?? 0;
  const embeddings = others.includes(EMBEDDINGS);
  const without =
    first > 0 && !embeddings ? ` A run that halts at layer ${first} or below does not need it: --layer ${first}.` : '';
  return new ModelError(
    `${file} is missing from ${folder}. It holds ${text} (${held.length} tensors), and ${quoted(needed)} is needed`,
    { hint: `Put ${file} beside the other files of the model.${without}` },
  );
}

/** Which encoder layers, and which other parts, a list of tensor names covers. */
export function contents(tensors: readonly string[]): { layers: number[]; others: string[]; text: string } {
  const layers = new Set<number>();
  const others = new Set<string>();
  for (const tensor of tensors) {
    const layer = /(?:^|\.)encoder\.layer\.(\d+)\./.exec(tensor)?.[1];
    if (layer === undefined) others.add(partOf(tensor));
    else layers.add(Number(layer));
  }
  const sorted = [...layers].sort((a, b) => a - b);
  const parts = [...others];
  if (sorted.length > 0) parts.unshift(`encoder layer${sorted.length > 1 ? 's' : ''} ${ranges(sorted)}`);
  const text = parts.length > 1 ? `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}` : (parts[0] ?? 'nothing');
  return { layers: sorted, others: parts, text };
}

function partOf(tensor: string): string {
  if (/^(?:bert\.)?embeddings\./.test(tensor)) return EMBEDDINGS;
  if (/^(?:bert\.)?pooler\./.test(tensor)) return 'the pooler';
  if (tensor.startsWith('cls.predictions.')) return 'the masked-language-model head';
  return tensor.split('.', 2).join('.');
}

/** [0, 1, 2, 5] as "0–2, 5". */
function ranges(sorted: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const n of sorted) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === n - 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`)).join(', ');
}

function isPlainFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\0:]/.test(name);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
