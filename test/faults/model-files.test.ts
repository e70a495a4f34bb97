import { readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'vitest';
import { fileOf } from '../checkpoint/support.ts';
import { alterConfig, analyze, expectFailure, TEXT, tinyModel } from './support.ts';

/** Parts of the model's file, to be put together otherwise. */
interface Parts {
  header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
  data: Buffer;
}

/** Writes the weights anew; what `change` returns is the header, or the whole file. */
function rewrite(model: string, change: (parts: Parts) => object | string | Buffer): void {
  const path = weightsOf(model);
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const data = file.subarray(8 + length);
  const changed = change({ header: JSON.parse(file.toString('utf8', 8, 8 + length)), data });
  writeFileSync(path, Buffer.isBuffer(changed) ? changed : fileOf(changed, data));
}

const rewriting = (change: (parts: Parts) => object | string | Buffer) => (model: string) => rewrite(model, change);
const weightsOf = (model: string): string => join(model, 'model.safetensors');

function claimingTooMuch({ data }: Parts): Buffer {
  const file = Buffer.concat([Buffer.alloc(8), Buffer.from('{}'), data]);
  file.writeBigUInt64LE(2n ** 53n + 1n);
  return file;
}

function notUtf8({ data }: Parts): Buffer {
  return Buffer.from(fileOf(Buffer.from('{"\xff":{}}', 'latin1'), data));
}

const WORD = /word_embeddings\.weight$/;
/** Changes the entry of the word embeddings, the first in the file or not. */
function entry(change: (entry: Parts['header'][string]) => object) {
  return ({ header }: Parts): object =>
    Object.fromEntries(
      Object.entries(header).map(([name, value]) => [name, WORD.test(name) ? { ...value, ...change(value) } : value]),
    );
}

// Damaged on the disk, and met by the real command: one line, the exit code of its class, no output. What else can be wrong with
// each of them is in test/checkpoint and test/bert.
// faults 1–15, 19
describe('a damaged model is refused', { timeout: 60_000 }, () => {
  test.concurrent.each<[string, (model: string) => void, RegExp]>([
    ['1 the folder is gone', (model) => rmSync(model, { recursive: true }), /no such folder: .*tiny\. Give a folder/],
    ['2 an empty file', (model) => truncateSync(weightsOf(model), 0), /model\.safetensors is empty/],
    ['3 a file of 7 bytes', (model) => truncateSync(weightsOf(model), 7), /model\.safetensors has 7 bytes/],
    ['4 a header past 2^53', rewriting(claimingTooMuch), /it says that its header has 9007199254740993 bytes/],
    ['5 a header that is no UTF-8', rewriting(notUtf8), /header of .*model\.safetensors is not UTF-8/],
    ['6 a tensor named twice', rewriting(() => '{"a":{},"a":{}}'), /"a"/],
    [
      '7 weights of integers',
      rewriting(entry(() => ({ dtype: 'I32' }))),
      /is stored as I32; weights are read from F32/,
    ],
    ['8 a negative size', rewriting(entry(({ shape }) => ({ shape: [-1, shape[1]] }))), /-1/],
    ['9 ranges that overlap', rewriting(overlapping), /overlap/],
    [
      '10 a file cut off',
      (model) => truncateSync(weightsOf(model), 500_000),
      /is cut off: 242312 of its 742312 bytes are missing/,
    ],
    ['11 a tensor is missing', rewriting(renamed), /has no tensor "embeddings\.position_embeddings\.weight".*wosition/],
    ['12 other shapes than its config', (model) => alterConfig(model, { hidden_size: 51 }), /48\b.*51\b|51\b.*48\b/],
    ['13 an absent shard', absentShard, /shard-1\.safetensors is missing from .*tiny/],
    ['14 the config of another model', (model) => alterConfig(model, { model_type: 'gpt2' }), /gpt2/],
    ['15 heads that do not divide', (model) => alterConfig(model, { num_attention_heads: 5 }), /48\b.*5\b|5\b.*48\b/],
    ['19 a pickle', pickle, /pytorch_model\.bin/],
  ])('%s', async (_, damage, message) => {
    const model = tinyModel('F32');
    damage(model);
    expectFailure(await analyze(model, ['--layer', '2', TEXT]), 3, message);
  });
});

function overlapping({ header }: Parts): object {
  const [, second] = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  const [begin, end] = second[1].data_offsets;
  return { ...header, [second[0]]: { ...second[1], data_offsets: [begin - 4, end - 4] } };
}

function renamed({ header }: Parts): object {
  return Object.fromEntries(
    Object.entries(header).map(([name, value]) => [name.replace('position_embeddings', 'wosition_embeddings'), value]),
  );
}

function absentShard(model: string): void {
  const names = Object.keys(
    JSON.parse(
      readFileSync(join(model, 'model.safetensors'))
        .toString('latin1')
        .match(/\{.*?\}\}/)?.[0] ?? '{}',
    ),
  );
  renameSync(join(model, 'model.safetensors'), join(model, 'shard-0.safetensors'));
  const files = names.map((name) => [name, WORD.test(name) ? 'shard-1.safetensors' : 'shard-0.safetensors']);
  const index = { weight_map: Object.fromEntries(files.filter(([name]) => name !== '__metadata__')) };
  writeFileSync(join(model, 'model.safetensors.index.json'), JSON.stringify(index));
}

function pickle(model: string): void {
  rmSync(weightsOf(model));
  writeFileSync(join(model, 'pytorch_model.bin'), Buffer.from([0x80, 2, 0x7d, 0x71, 0, 0x2e]));
}
