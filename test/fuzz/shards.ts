import * as fc from 'fast-check';
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import type { ModelFolder } from '../../src/checkpoint/source.ts';
import { Layer8Error } from '../../src/errors.ts';
import { MemorySource } from '../checkpoint/support.ts';
import { apply, editsOf, fromLatin1, jsonFragments, toLatin1 } from './edits.ts';
import { FILES, mutatedFile } from './headers.ts';
import type { Target } from './target.ts';

const INDEX = 'model.safetensors.index.json';
const INDEXES = [
  { metadata: { total_size: 50 }, weight_map: { a: 'one.safetensors', b: 'one.safetensors', w: 'two.safetensors' } },
  { weight_map: { a: 'one.safetensors', i: 'two.safetensors' } },
  { weight_map: {} },
].map((index) => new TextEncoder().encode(JSON.stringify(index)));
const FRAGMENTS = jsonFragments(
  'one.safetensors two.safetensors ../one.safetensors /one.safetensors .. a b w weight_map',
);

const shard = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...FILES) }, mutatedFile).map(toLatin1);

/** Files in memory, by name. */
type Files = Record<string, string>;

function folderOf(files: Files): ModelFolder {
  return {
    name: 'folder',
    open: async (name) => (Object.hasOwn(files, name) ? new MemorySource(fromLatin1(files[name]), name) : undefined),
    list: async () => Object.keys(files),
  };
}

/** Sets of shards whose index and headers may disagree. */
export const shards: Target<Files> = {
  name: 'shards',
  runs: { full: 200_000, short: 4000 },
  inputs: fc
    .record({ index: editsOf(INDEXES.length), one: shard, two: fc.option(shard) })
    .map(({ index, one, two }) => ({
      [INDEX]: toLatin1(apply(INDEXES[index.file], index.edits, FRAGMENTS)),
      'one.safetensors': one,
      ...(two !== null && { 'two.safetensors': two }),
    })),
  async take(files) {
    await using checkpoint = await openCheckpoint(folderOf(files));
    const { weight_map: promised } = JSON.parse(new TextDecoder().decode(fromLatin1(files[INDEX])));
    if ([...checkpoint.names()].sort().join('\n') !== Object.keys(promised).sort().join('\n')) {
      throw new Error(`other names than the index: ${[...checkpoint.names()].join()}`);
    }
    for (const name of checkpoint.names()) await found(checkpoint, name, files, promised);
  },
};

/** A tensor is found in the file that the index names, whole, or refused. */
async function found(
  checkpoint: Awaited<ReturnType<typeof openCheckpoint>>,
  name: string,
  files: Files,
  promised: Record<string, string>,
): Promise<void> {
  const tensor = await checkpoint.find(name).catch((error: unknown) => {
    if (error instanceof Layer8Error) return undefined;
    throw error;
  });
  if (tensor === undefined) return;
  const file = files[promised[name]];
  if (file === undefined) throw new Error(`${name} was found in a file that is not there: ${promised[name]}`);
  if (tensor.name !== name) throw new Error(`${name} was found as ${tensor.name}`);
}
