import { execFileSync } from 'node:child_process';
import { appendFile, copyFile, mkdir, readFile, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/bert/config.ts';
import { bertNames } from '../../src/bert/names.ts';
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.ts';
import { editDistance, nearestNames } from '../../src/checkpoint/nearest.ts';
import { readRaw } from '../../src/checkpoint/read.ts';
import { blobFolder } from '../../src/checkpoint/source.ts';
import { ModelError } from '../../src/errors.ts';
import { BERT, TINY, TINY_MODELS, expectFailure, fileOf, inTemporaryFolder } from './support.ts';

const INDEX = 'model.safetensors.index.json';
const shardName = (n: number): string => `model-0000${n}-of-00004.safetensors`;

/** Tensor names in an object of names, in order. */
function flatten(names: object): string[] {
  return Object.values(names).flatMap((value: unknown) =>
    typeof value === 'string' ? [value] : flatten(value as object),
  );
}

/** Reads every tensor of an object of names, as an upload does; returns their bytes. */
async function readTensors(checkpoint: Checkpoint, names: object): Promise<number> {
  let bytes = 0;
  for (const name of flatten(names)) {
    const tensor = await checkpoint.find(name);
    if (tensor === undefined) throw new Error(`no tensor ${name}`);
    await readRaw(tensor, (chunk) => void (bytes += chunk.byteLength));
  }
  return bytes;
}

/** Bytes that opening a file of that header reads: the header, and the first bytes once more, to see what it is. */
const openingBytes = (headerBytes: number): number => 24 + headerBytes;

/** A model folder with one file, model.safetensors. */
async function withModel(bytes: Uint8Array, work: (folder: string) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    await writeFile(join(folder, 'model.safetensors'), bytes);
    await work(folder);
  });
}

/** A folder with BERT's index and links to its shards, some of which a test replaces or leaves out. */
async function withShards(shards: readonly number[], work: (folder: string) => Promise<void>): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    await copyFile(join(BERT, INDEX), join(folder, INDEX));
    for (const shard of shards) await symlink(join(BERT, shardName(shard)), join(folder, shardName(shard)));
    await work(folder);
  });
}

// fault 13
describe('BERT in shards', () => {
  test('halting at layer l reads the embeddings and l layers, and opens no file of a later one', async () => {
    await using checkpoint = await openCheckpoint(BERT);
    const names = bertNames(checkpoint);
    expect(checkpoint.bytesRead()).toEqual(new Map());
    const embeddings = 2 * (30522 + 512 + 2 + 2) * 768;
    expect(await readTensors(checkpoint, names.embeddings)).toBe(embeddings);
    const expected = new Map([[shardName(1), openingBytes(544) + embeddings]]);
    expect(checkpoint.bytesRead()).toEqual(expected);
    const layer = 2 * (4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768);
    for (let l = 0; l < 8; l++) {
      expect(await readTensors(checkpoint, names.layer(l))).toBe(layer);
      const shard = shardName(l < 4 ? 2 : 3);
      expected.set(shard, (expected.get(shard) ?? openingBytes(7376)) + layer);
      expect(checkpoint.bytesRead()).toEqual(expected);
    }
  });

  test('layer 9 names the file that is missing, what it holds, and what runs without it', async () => {
    await using checkpoint = await openCheckpoint(BERT);
    const { query } = bertNames(checkpoint).layer(8);
    expect(checkpoint.has(query.weight)).toBe(true);
    await expectFailure(
      checkpoint.need(query.weight, [768, 768]),
      ModelError,
      /model-00004-of-00004\.safetensors is missing from .*bert-base-uncased\. It holds encoder layers 8–11, the pooler and the masked-language-model head \(71 tensors\), and "bert\.encoder\.layer\.8\.attention\.self\.query\.weight" is needed/,
      /Put model-00004-of-00004\.safetensors .* halts at layer 8 or below does not need it: --layer 8\./,
    );
  });

  test('without the embeddings no layer runs, so none is advised', () =>
    withShards([2, 3], async (folder) => {
      await using checkpoint = await openCheckpoint(folder);
      const { word } = bertNames(checkpoint).embeddings;
      await expectFailure(
        checkpoint.find(word),
        ModelError,
        /It holds the embeddings \(5 tensors\)/,
        /of the model\.$/,
      );
    }));

  test('nor where they lie in one file with the layer', () =>
    inTemporaryFolder(async (folder) => {
      const [word, query] = [
        'bert.embeddings.word_embeddings.weight',
        'bert.encoder.layer.4.attention.self.query.weight',
      ];
      await writeFile(join(folder, INDEX), JSON.stringify({ weight_map: { [word]: 'a', [query]: 'a', other: 'a' } }));
      await using checkpoint = await openCheckpoint(folder);
      const holds = /a is missing from .* It holds encoder layer 4, the embeddings and other \(3 tensors\)/;
      await expectFailure(checkpoint.find(query), ModelError, holds, /of the model\.$/);
    }));

  test('a shard that lacks what the index promises', () =>
    withShards([1, 2], async (folder) => {
      await copyFile(join(BERT, shardName(2)), join(folder, shardName(3)));
      await using checkpoint = await openCheckpoint(folder);
      const { query } = bertNames(checkpoint).layer(4);
      await expectFailure(
        checkpoint.find(query.bias),
        ModelError,
        /model-00003-of-00004\.safetensors lacks tensor "bert\.encoder\.layer\.4\.attention\.self\.query\.bias", which model\.safetensors\.index\.json promises/,
        /not of one model/,
      );
    }));

  test('a damaged shard fails only a run that needs it', () =>
    withShards([1, 2], async (folder) => {
      await writeFile(join(folder, shardName(3)), (await readFile(join(BERT, shardName(3)))).subarray(0, 100_000));
      await using checkpoint = await openCheckpoint(folder);
      const names = bertNames(checkpoint);
      await checkpoint.need(names.layer(3).query.weight, [768, 768]);
      await expectFailure(
        checkpoint.need(names.layer(4).query.weight, [768, 768]),
        ModelError,
        /cut off: 56610360 of its/,
      );
    }));

  test.each<[string, string, RegExp]>([
    ['is not JSON', '{"weight_map":', /is not JSON/],
    ['is a list', '[]', /has no "weight_map"/],
    ['has no map', '{"metadata":{}}', /has no "weight_map"/],
    ['has a map of something else', '{"weight_map":{"a":1}}', /places tensor "a" in 1,/],
    [
      'leads out of the folder',
      '{"weight_map":{"a":"../secret.safetensors"}}',
      /"\.\.\/secret\.safetensors", which is no name/,
    ],
    ['is absolute', '{"weight_map":{"a":"/etc/passwd"}}', /"\/etc\/passwd", which is no name/],
    ['hides NUL', '{"weight_map":{"a":"x\\u0000"}}', /which is no name/],
  ])('an index that %s', (_, text, message) =>
    inTemporaryFolder(async (folder) => {
      await writeFile(join(folder, INDEX), text);
      await expectFailure(openCheckpoint(folder), ModelError, message);
    }),
  );
});

describe('a single file', () => {
  test('every tensor of the tiny models has the shape that their config asks for', async () => {
    for (const model of TINY_MODELS) {
      const folder = join(TINY, model);
      const { hiddenSize: H, intermediateSize: I, numHiddenLayers } = await readConfig(folder);
      await using checkpoint = await openCheckpoint(folder);
      const names = bertNames(checkpoint);
      for (let l = 0; l < numHiddenLayers; l++) {
        const layer = names.layer(l);
        for (const dense of [layer.query, layer.key, layer.value, layer.attentionOutput]) {
          await checkpoint.need(dense.weight, [H, H]);
          await checkpoint.need(dense.bias, [H]);
        }
        for (const norm of [layer.attentionLayerNorm, layer.outputLayerNorm]) {
          await checkpoint.need(norm.weight, [H]);
          await checkpoint.need(norm.bias, [H]);
        }
        await checkpoint.need(layer.intermediate.weight, [I, H]);
        await checkpoint.need(layer.output.weight, [H, I]);
      }
    }
  });

  test('opening it reads the header and no weight; needing a tensor reads none either', async () => {
    const folder = join(TINY, TINY_MODELS[1]);
    await using checkpoint = await openCheckpoint(folder);
    const header = new DataView((await readFile(join(folder, 'model.safetensors'))).buffer).getBigUint64(0, true);
    const opened = checkpoint.bytesRead().get('model.safetensors') ?? NaN;
    expect(opened).toBe(openingBytes(Number(header)));
    const names = bertNames(checkpoint);
    const tensor = await checkpoint.need(names.layer(0).query.weight, [48, 48]);
    expect(checkpoint.bytesRead().get('model.safetensors')).toBe(opened);
    const all = await readTensors(checkpoint, names.layer(0));
    expect(checkpoint.bytesRead().get('model.safetensors')).toBe(opened + all);
    expect(tensor.byteLength).toBe(4 * 48 * 48);
  });

  test.each(['', 'bert.'])(
    'names begin with "%s" where any of three tensors does: a missing one is missed by its name',
    (prefix) => {
      const all = [
        'embeddings.word_embeddings',
        'embeddings.position_embeddings',
        'encoder.layer.0.intermediate.dense',
      ];
      for (const missing of all) {
        const there = new Set(all.filter((name) => name !== missing).map((name) => `${prefix}${name}.weight`));
        expect(bertNames(there).embeddings.word).toBe(`${prefix}embeddings.word_embeddings.weight`);
      }
    },
  );

  // fault 11
  test('a tensor that is missing, with the names nearest to it', async () => {
    await using checkpoint = await openCheckpoint(join(TINY, TINY_MODELS[0]));
    await expectFailure(
      checkpoint.need('encoder.layer.0.output.dense.wieght', [1]),
      ModelError,
      /has no tensor "encoder\.layer\.0\.output\.dense\.wieght"/,
      /nearest names it has: "encoder\.layer\.0\.output\.dense\.weight", /,
    );
    expect(await checkpoint.find('encoder.layer.0.output.dense.wieght')).toBeUndefined();
    await expectFailure(checkpoint.need('h', [1]), ModelError, /no tensor "h"/, /a model of another kind/);
  });

  // fault 12
  test('a tensor of the wrong shape, with both shapes', async () => {
    await using checkpoint = await openCheckpoint(join(TINY, TINY_MODELS[0]));
    const { word } = bertNames(checkpoint).embeddings;
    const both = /has the shape \[50, 36\], where config\.json asks for \[50, 40\]/;
    await expectFailure(checkpoint.need(word, [50, 40]), ModelError, both, /not of one model/);
    await expectFailure(checkpoint.need(word, [50]), ModelError, /\[50, 36\].*asks for \[50\]/);
    await expectFailure(checkpoint.need(word, [50, 36, 1]), ModelError, /asks for \[50, 36, 1\]/);
  });

  // fault 7
  test('a dtype that weights are not taken from matters only where the tensor is needed', () =>
    withModel(
      fileOf(
        { q: { dtype: 'I8', shape: [4], data_offsets: [0, 4] }, w: { dtype: 'F32', shape: [1], data_offsets: [4, 8] } },
        8,
      ),
      async (folder) => {
        await using checkpoint = await openCheckpoint(folder);
        expect(await checkpoint.need('w', [1])).toMatchObject({ dtype: 'F32', byteLength: 4 });
        const message = /tensor "q" of .*model\.safetensors is stored as I8; weights are read from F32, F16, BF16, F64/;
        await expectFailure(checkpoint.need('q', [4]), ModelError, message, /not quantised/);
      },
    ));

  test('a single file is preferred to an index', () =>
    withModel(fileOf({ w: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, 4), async (folder) => {
      await writeFile(join(folder, INDEX), 'broken');
      await using checkpoint = await openCheckpoint(folder);
      expect([...checkpoint.names()]).toEqual(['w']);
    }));

  test('from Blobs, as a page has them', async () => {
    const bytes = await readFile(join(TINY, TINY_MODELS[2], 'model.safetensors'));
    await using checkpoint = await openCheckpoint(blobFolder(new Map([['model.safetensors', new Blob([bytes])]])));
    const { layerNorm } = bertNames(checkpoint).embeddings;
    const gamma = await checkpoint.need(layerNorm.weight, [40]);
    await using onDisk = await openCheckpoint(join(TINY, TINY_MODELS[2]));
    const same = await onDisk.need(layerNorm.weight, [40]);
    expect(await gamma.read(0, 160)).toEqual(await same.read(0, 160));
    await expectFailure(
      openCheckpoint(blobFolder(new Map())),
      ModelError,
      /the picked files has neither model\.safetensors/,
    );
  });
});

// faults 1, 19
describe('a folder without weights', () => {
  test('that does not exist', () =>
    expectFailure(openCheckpoint('/no/such/folder'), ModelError, /no model folder \/no\/such\/folder/));

  test('that is a file', () =>
    withModel(fileOf('{}'), (folder) =>
      expectFailure(openCheckpoint(join(folder, 'model.safetensors')), ModelError, /is a file, where a model folder/),
    ));

  test('that is empty', () =>
    inTemporaryFolder((folder) =>
      expectFailure(openCheckpoint(folder), ModelError, /has neither model\.safetensors nor/),
    ));

  test('where model.safetensors is a folder', () =>
    inTemporaryFolder(async (folder) => {
      await mkdir(join(folder, 'model.safetensors'));
      await expectFailure(openCheckpoint(folder), ModelError, /model\.safetensors is a folder/);
    }));

  test('where model.safetensors is a pipe, which nobody writes to', () =>
    inTemporaryFolder(async (folder) => {
      execFileSync('mkfifo', [join(folder, 'model.safetensors')]);
      await expectFailure(openCheckpoint(folder), ModelError, /model\.safetensors is not a regular file/);
    }));

  test.each([
    ['pytorch_model.bin', /only pytorch_model\.bin, which is a PyTorch pickle/],
    ['bert.gguf', /only bert\.gguf, which is a GGUF file/],
    ['model.onnx', /only model\.onnx, which is an ONNX file/],
    ['tf_model.h5', /only tf_model\.h5, which is an HDF5 file/],
  ])('that has %s instead', (name, message) =>
    inTemporaryFolder(async (folder) => {
      await writeFile(join(folder, name), 'x');
      await expectFailure(openCheckpoint(folder), ModelError, message, /reads safetensors only/);
    }),
  );
});

// fault 20
describe('a file that changes while it is read', () => {
  const seconds = 1000;
  const bytes = fileOf({ w: { dtype: 'F32', shape: [4096], data_offsets: [0, 16384] } }, 16384);

  test.each<[string, (path: string) => Promise<void>]>([
    [
      'grows, and keeps its time',
      async (path) => {
        await appendFile(path, 'x');
        await utimes(path, seconds, seconds);
      },
    ],
    ['is cut off', (path) => writeFile(path, bytes.subarray(0, 1000))],
    ['is written in place', (path) => writeFile(path, bytes)],
    ['is touched', (path) => utimes(path, 1, 1)],
    ['is removed', (path) => rename(path, `${path}.old`)],
    [
      'is replaced by one of the same time and size',
      async (path) => {
        await writeFile(`${path}.new`, bytes);
        await utimes(`${path}.new`, seconds, seconds);
        await rename(`${path}.new`, path);
      },
    ],
  ])('%s', (_, change) =>
    withModel(bytes, async (folder) => {
      const path = join(folder, 'model.safetensors');
      await utimes(path, seconds, seconds);
      await using checkpoint = await openCheckpoint(folder);
      const tensor = await checkpoint.need('w', [4096]);
      await tensor.read(0, 8192);
      await change(path);
      await expectFailure(
        tensor.read(8192, 8192),
        ModelError,
        /model\.safetensors changed while it was read/,
        /finished/,
      );
    }),
  );
});

test('edit distance and the nearest names', () => {
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(editDistance('', 'abc')).toBe(3);
  expect(editDistance('same', 'same')).toBe(0);
  expect(nearestNames('weight', ['bias', 'wieght', 'weights', 'height', 'weigh'])).toEqual([
    'weights',
    'height',
    'weigh',
  ]);
});
