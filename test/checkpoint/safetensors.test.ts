import { readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { DTYPE_BITS } from '../../src/checkpoint/dtypes.ts';
import { FileSource } from '../../src/checkpoint/file.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { ModelError, UsageError } from '../../src/errors.ts';
import { BERT, MemorySource, TINY, TINY_MODELS, expectFailure, fileOf, inTemporaryFolder } from './support.ts';

/** The npm package reads files without `__metadata__`, and checks nothing: an oracle for right files. It has no types. */
const { SafeTensor } = createRequire(import.meta.url)('safetensors') as {
  SafeTensor: new (file: Uint8Array) => {
    metadata: Map<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;
    getTensor(name: string): Uint8Array;
  };
};

/** Opens bytes as a file on disk. */
async function openOnDisk(bytes: Uint8Array, name = 'model.safetensors'): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    const source = await FileSource.open(path);
    if (source === undefined) throw new Error('the test wrote no file');
    try {
      await openSafetensors(source);
    } finally {
      await source.close();
    }
  });
}

const refused = (bytes: Uint8Array, message: RegExp, hint?: RegExp): Promise<void> =>
  expectFailure(openOnDisk(bytes), ModelError, message, hint);

const f32 = (shape: number[], begin: number, end: number): object => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

function withLength(length: bigint, rest: string): Uint8Array {
  const bytes = new Uint8Array(8 + rest.length);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  bytes.set(new TextEncoder().encode(rest), 8);
  return bytes;
}

// faults 2–10, 19
describe('refuses, and says why', () => {
  test('an empty file', () => refused(new Uint8Array(), /model\.safetensors is empty$/));

  test('a file shorter than the length of the header', () => refused(new Uint8Array(7), /has 7 bytes/));

  test.each([
    ['over 100,000,000', 100_000_001n, /says that its header has 100000001 bytes/],
    ['past 2^53', 2n ** 53n + 1n, /9007199254740993 bytes/],
    ['of 2^64 − 1', 2n ** 64n - 1n, /18446744073709551615 bytes/],
    ['past the end of the file', 100n, /cut off: 98 of the 100 bytes of its header are missing/],
    ['that leaves nothing', 0n, /does not begin with "\{"/],
  ])('a header length %s', (_, length, message) => refused(withLength(length, '{}'), message));

  test('a header length over 100,000,000 in a file that is as long', () =>
    inTemporaryFolder(async (folder) => {
      const path = join(folder, 'model.safetensors');
      await writeFile(path, withLength(100_000_001n, '{'));
      await truncate(path, 100_000_100);
      const source = (await FileSource.open(path)) as FileSource;
      await expectFailure(
        openSafetensors(source),
        ModelError,
        /says that its header has 100000001 bytes/,
        /at most 100000000/,
      );
      await source.close();
    }));

  test.each<[string, string | Uint8Array, RegExp]>([
    ['that is not UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d), /not UTF-8/],
    ['after a byte order mark', '\u{feff}{}', /does not begin with "\{"/],
    ['after a space', ' {}', /does not begin with "\{"/],
    ['that is a list', '[]', /does not begin with "\{"/],
    ['that is not JSON', '{"a":}', /expected "\{" \(at character 5\)/],
    ['that ends too early', '{"a":{"dtype":"F32"', /ends too early/],
    ['with a trailing comma', '{"__metadata__":{},}', /expected a string/],
    ['padded with a line feed', '{}\n', /other than spaces/],
    ['padded with NUL', '{}\0', /other than spaces/],
    ['followed by another', '{}{}', /other than spaces/],
    ['with a control character', '{"a\u0001":1}', /control character/],
    ['with half a surrogate pair', '{"\\ud800":1}', /surrogate/],
    ['with an unknown escape', '{"\\x41":1}', /escape/],
    ['nested too deep', `{"a":{"b":${'['.repeat(100_000)}`, /nested deeper than 16/],
    ['with metadata that is not text', '{"__metadata__":{"epoch":1}}', /expected a string/],
    ['with metadata that is a list', '{"__metadata__":[]}', /expected "\{"/],
  ])('a header %s', (_, header, message) => refused(fileOf(header), message));

  test('a tensor named twice, which JSON.parse would hide', async () => {
    const tensor = JSON.stringify(f32([1], 0, 4));
    await refused(fileOf(`{"a":${tensor},"a":${tensor}}`, 4), /the key "a" appears twice/);
    await refused(fileOf(`{"a":${tensor},"\\u0061":${tensor}}`, 4), /the key "a" appears twice/);
  });

  test('a key of a tensor, or of the metadata, that appears twice', async () => {
    const twice = '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
    await refused(fileOf(twice, 4), /the key "dtype" appears twice/);
    await refused(fileOf('{"__metadata__":{"x":"1","x":"1"}}'), /the key "x" appears twice/);
  });

  test('an unknown dtype', () =>
    refused(fileOf({ a: { dtype: 'F31', shape: [1], data_offsets: [0, 4] } }, 4), /"a" has the unknown dtype "F31"/));

  test('a dtype that only JavaScript knows', () =>
    refused(fileOf({ a: { dtype: 'constructor', shape: [], data_offsets: [0, 4] } }, 4), /unknown dtype/));

  test('a tensor that lacks a field', () =>
    refused(fileOf({ a: { dtype: 'F32', shape: [] } }), /lacks dtype, shape or/));

  test.each<[string, string, string, RegExp]>([
    ['is negative', '[-1]', '[0,4]', /"-1" is no size/],
    ['is a fraction', '[1.5]', '[0,4]', /"1\.5" is no size/],
    ['is written as a fraction', '[1.0]', '[0,4]', /"1\.0" is no size/],
    ['is written with an exponent', '[1e0]', '[0,4]', /"1e0" is no size/],
    ['begins with a zero', '[01]', '[0,4]', /expected "," or "\]"/],
    ['passes 2^53', '[9007199254740992]', '[0,4]', /"9007199254740992" is no size/],
    ['is text', '["1"]', '[0,4]', /expected a number/],
    ['makes more bytes than can be counted', '[67108864,67108864,64]', '[0,4]', /too many/],
    ['does not match the bytes', '[2]', '[0,4]', /F32 of shape \[2\], takes 8 bytes; its data_offsets give 4/],
    ['leaves bytes over', '[1]', '[0,8]', /takes 4 bytes; its data_offsets give 8/],
    ['ends before it begins', '[1]', '[4,0]', /data_offsets \[4, 0\]/],
    ['has one offset', '[1]', '[0]', /data_offsets \[0\]/],
    ['has three offsets', '[1]', '[0,4,8]', /more than 2 sizes/],
    ['has an offset past 2^53', '[1]', '[0,9007199254740991]', /no range/],
    ['has 256 dimensions', `[${'1,'.repeat(255)}1]`, '[0,4]', /more than 255/],
  ])('a tensor whose size %s', (_, shape, offsets, message) =>
    refused(fileOf(`{"a":{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}}`, 4), message),
  );

  test.each(['F4', 'F6_E2M3', 'F6_E3M2'] as const)('%s elements that are no whole number of bytes', (dtype) =>
    refused(fileOf({ a: { dtype, shape: [3], data_offsets: [0, 2] } }, 2), /no whole number of bytes/),
  );

  test.each<[string, object, number, RegExp]>([
    ['overlap', { a: f32([2], 0, 8), b: f32([2], 4, 12) }, 12, /"b" overlaps the one before it \(it begins at byte 4/],
    ['are the same', { a: f32([1], 0, 4), b: f32([1], 0, 4) }, 4, /"b" overlaps/],
    ['leave a hole', { a: f32([1], 0, 4), b: f32([1], 8, 12) }, 12, /"b" leaves a hole/],
    ['do not start at 0', { a: f32([1], 4, 8) }, 8, /"a" leaves a hole/],
    ['end before the file does', { a: f32([1], 0, 4) }, 7, /has 3 bytes after its last tensor/],
    ['hide behind an empty one', { a: f32([2], 0, 8), b: f32([0], 4, 4) }, 8, /"b" overlaps/],
  ])('tensors that %s', (_, header, bytes, message) => refused(fileOf(header, bytes), message));

  test('a download that was cut off, with the number of bytes that are missing', async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'model.safetensors');
      const whole = await readFile(join(TINY, TINY_MODELS[0], 'model.safetensors'));
      for (const length of [whole.byteLength - 1, whole.byteLength - 20_000]) {
        await writeFile(path, whole);
        await truncate(path, length);
        const source = (await FileSource.open(path)) as FileSource;
        const missing = whole.byteLength - length;
        await expectFailure(openSafetensors(source), ModelError, new RegExp(`cut off: ${missing} of its`), /again/);
        await source.close();
      }
    });
  });

  test.each<[string, string | Uint8Array, string, RegExp]>([
    [
      'a zipped pickle',
      'PK\u0003\u0004\0\0\b\b\0\0\0\0\0\0',
      'model.safetensors',
      /is a PyTorch pickle in a zip archive/,
    ],
    [
      'a bare pickle',
      Uint8Array.of(0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9),
      'model.safetensors',
      /Python pickle/,
    ],
    ['a GGUF file', 'GGUF\u0003\0\0\0\u0005\0\0\0\0\0\0\0', 'model.safetensors', /is a GGUF file/],
    ['an ONNX file', '\b\u0007\u0012\u0007pytorch\u001a\u0005', 'model.safetensors', /is an ONNX file/],
    ['an ONNX file by its name', '\b\u0007:\u0007pytorch\u001a\u0005', 'model.onnx', /is an ONNX file/],
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid',
      'model.safetensors',
      /is a Git LFS pointer/,
    ],
    ['a web page', '<!DOCTYPE html><html></html>', 'model.safetensors', /is a web page/],
  ])('%s', (_, content, name, message) => {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    return expectFailure(openOnDisk(bytes, name), ModelError, message, /reads safetensors only/);
  });

  test('a damaged header whose length happens to look like a pickle as what it is', () =>
    refused(fileOf(`x${' '.repeat(639)}`), /does not begin with "\{"/));

  test('a name that would steer a terminal only escaped', async () => {
    await refused(
      fileOf({ '\u001b[2J\u009b': { dtype: 'x', shape: [], data_offsets: [0, 0] } }),
      /"\\u001b\[2J\\u\{9b\}"/,
    );
  });
});

describe('reads', () => {
  test.each(Object.entries(DTYPE_BITS))('%s, %d bits an element', async (dtype, bits) => {
    const header = {
      a: { dtype, shape: [2, 4], data_offsets: [0, bits] },
      s: { dtype: 'U8', shape: [], data_offsets: [bits, bits + 1] },
    };
    const file = await openSafetensors(new MemorySource(fileOf(header, bits + 1)));
    expect(file.tensors.get('a')).toMatchObject({ dtype, shape: [2, 4] });
    expect(file.tensors.get('s')).toMatchObject({ shape: [] });
  });

  test('no tensors, tensors without elements, padding, metadata, and fields of a later version', async () => {
    expect((await openSafetensors(new MemorySource(fileOf('{}')))).tensors.size).toBe(0);
    const header = {
      __metadata__: { format: 'pt', 'quote"': 'ü\n' },
      b: { ...f32([1], 0, 4), later: { list: [1.5e3, null, true, 'x'] } },
      none: f32([9_007_199_254_740_991, 0], 0, 0),
      also: f32([3, 0], 4, 4),
    };
    const file = await openSafetensors(new MemorySource(fileOf(`${JSON.stringify(header)}   `, 4)));
    expect([...file.tensors.keys()]).toEqual(['b', 'none', 'also']);
    expect(Object.fromEntries(file.metadata)).toEqual({ format: 'pt', 'quote"': 'ü\n' });
  });

  test('the same as the npm package, byte for byte', async () => {
    const paths = TINY_MODELS.map((model) => join(TINY, model, 'reference.safetensors'));
    const bert = fileURLToPath(new URL('../fixtures/reference/bert-base-uncased', import.meta.url));
    for (const name of await readdir(bert))
      if (/^(fox|pair|empty)\.safetensors$/.test(name)) paths.push(join(bert, name));
    expect(paths).toHaveLength(7);
    for (const path of paths) {
      const bytes = await readFile(path);
      const oracle = new SafeTensor(new Uint8Array(bytes));
      const source = (await FileSource.open(path)) as FileSource;
      const file = await openSafetensors(source);
      expect(file.tensors.size).toBe(oracle.metadata.size);
      for (const [name, info] of file.tensors) {
        const { dtype, shape, data_offsets: range } = oracle.metadata.get(name) ?? {};
        expect({ dtype: info.dtype, shape: info.shape, range: [info.begin, info.end] }).toEqual({
          dtype,
          shape,
          range,
        });
        expect(Buffer.compare(await file.read(info), oracle.getTensor(name))).toBe(0);
      }
      await source.close();
    }
  });

  test('all of our models', async () => {
    const paths = [1, 2, 3].map((shard) => join(BERT, `model-0000${shard}-of-00004.safetensors`));
    for (const path of [...paths, ...TINY_MODELS.map((model) => join(TINY, model, 'model.safetensors'))]) {
      const source = (await FileSource.open(path)) as FileSource;
      const file = await openSafetensors(source);
      expect(file.tensors.size).toBeGreaterThan(4);
      expect(file.metadata.get('format')).toBe('pt');
      await source.close();
    }
  });

  test('any part of a tensor, and nothing outside of it', async () => {
    const header = {
      a: { dtype: 'U8', shape: [4], data_offsets: [0, 4] },
      b: { dtype: 'U8', shape: [2], data_offsets: [4, 6] },
    };
    const file = await openSafetensors(new MemorySource(fileOf(header, Uint8Array.of(1, 2, 3, 4, 5, 6))));
    const a = file.tensors.get('a');
    if (a === undefined) throw new Error('no tensor');
    expect([...(await file.read(a))]).toEqual([1, 2, 3, 4]);
    expect([...(await file.read(a, 1))]).toEqual([2, 3, 4]);
    const into = new Uint8Array(8);
    expect([...(await file.read(a, 1, 2, into))]).toEqual([2, 3]);
    expect([...into]).toEqual([2, 3, 0, 0, 0, 0, 0, 0]);
    await expectFailure(file.read(a, 3, 2), UsageError, /read of 2 bytes at 3 of tensor "a", which has 4/);
    await expectFailure(file.read(a, -1, 2), UsageError, /which has 4/);
    await expectFailure(file.read(a, NaN, 2), UsageError, /which has 4/);
  });
});

test('a header of many megabytes is read in time that grows with its length', { timeout: 30_000 }, async () => {
  const keys = Array.from(
    { length: 200_000 },
    (_, i) => `"t${i}":{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`,
  );
  const file = await openSafetensors(new MemorySource(fileOf(`{${keys.join()}}`, keys.length)));
  expect(file.tensors.size).toBe(keys.length);
});
