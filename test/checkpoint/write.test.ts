import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tensorRef } from '../../src/checkpoint/checkpoint.ts';
import { FileSource } from '../../src/checkpoint/file.ts';
import { readAllF32, readAllI32 } from '../../src/checkpoint/read.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { TensorEntry } from '../../src/checkpoint/write.ts';
import { writeSafetensors } from '../../src/checkpoint/write.ts';
import { IoError, UsageError } from '../../src/errors.ts';
import { expectFailure, inTemporaryFolder } from './support.ts';

const states: TensorEntry = {
  name: 'states',
  dtype: 'F32',
  shape: [2, 2],
  data: Float32Array.of(1, -0, NaN, 2 ** -149),
};

async function* inChunks(...chunks: Float32Array[]): AsyncGenerator<Float32Array> {
  for (const chunk of chunks) yield chunk;
}

test('what is written is read again, aligned to 8 bytes', () =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, 'out.safetensors');
    await writeSafetensors(path, [
      states,
      { name: '7', dtype: 'I32', shape: [3], data: Int32Array.of(1, -2, 3) },
      { name: 'ü "quoted"', dtype: 'F32', shape: [], data: [Float32Array.of(5)] },
      { name: 'none', dtype: 'F32', shape: [0, 4], data: [] },
      { name: 'parts', dtype: 'F32', shape: [3], data: inChunks(Float32Array.of(1, 2), Float32Array.of(3)) },
    ]);
    expect(await readdir(folder)).toEqual(['out.safetensors']);
    const bytes = await readFile(path);
    const header = Number(bytes.readBigUInt64LE(0));
    expect(header % 8).toBe(0);
    expect(bytes.subarray(8, 8 + header).toString()).toMatch(/^\{.*\} *$/);

    const source = (await FileSource.open(path)) as FileSource;
    const file = await openSafetensors(source);
    const ref = (name: string) => {
      const info = file.tensors.get(name);
      if (info === undefined) throw new Error(`no tensor ${name}`);
      return tensorRef(file, info);
    };
    expect([...file.tensors.keys()]).toEqual(['states', '7', 'ü "quoted"', 'none', 'parts']);
    expect(await readAllF32(ref('states'))).toEqual(states.data);
    expect([...(await readAllI32(ref('7')))]).toEqual([1, -2, 3]);
    expect(ref('ü "quoted"').shape).toEqual([]);
    expect(ref('none').shape).toEqual([0, 4]);
    expect([...(await readAllF32(ref('parts')))]).toEqual([1, 2, 3]);
    await source.close();
  }));

test('a part of a larger array is written as that part', () =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, 'out.safetensors');
    const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
    await writeSafetensors(path, [{ name: 'a', dtype: 'F32', shape: [2], data }]);
    expect(new Float32Array((await readFile(path)).subarray(-8).buffer.slice(-8))).toEqual(Float32Array.of(2, 3));
  }));

test('a failure leaves what was there before, and no part of a file', () =>
  inTemporaryFolder(async (folder) => {
    const path = join(folder, 'out.safetensors');
    await writeFile(path, 'before');
    async function* interrupted(): AsyncGenerator<Float32Array> {
      yield Float32Array.of(1);
      expect(await readdir(folder)).toHaveLength(2);
      throw new IoError('the device went away');
    }
    const entry = { name: 'a', dtype: 'F32', shape: [2], data: interrupted() } as const;
    await expectFailure(writeSafetensors(path, [states, entry]), IoError, /^the device went away$/);
    expect(await readdir(folder)).toEqual(['out.safetensors']);
    expect(await readFile(path, 'utf8')).toBe('before');
  }));

test.each<[string, TensorEntry[], RegExp]>([
  ['too few elements', [{ ...states, shape: [5] }], /"states" of shape \[5\] was given 4 elements/],
  ['too many elements', [{ ...states, shape: [3] }], /was given 4 elements/],
  ['another type', [{ ...states, dtype: 'I32' }], /is I32, but its data is a Float32Array/],
  ['a name twice', [states, states], /name "states" is taken already/],
  ['the name of the metadata', [{ ...states, name: '__metadata__' }], /is taken already/],
])('an entry with %s', (_, entries, message) =>
  inTemporaryFolder(async (folder) => {
    await expectFailure(writeSafetensors(join(folder, 'x'), entries), UsageError, message);
    expect(await readdir(folder)).toEqual([]);
  }),
);

test('a place that cannot be written', () =>
  inTemporaryFolder(async (folder) => {
    await expectFailure(
      writeSafetensors(join(folder, 'no', 'x'), [states]),
      IoError,
      /cannot write .*: its folder does not exist/,
    );
    await writeFile(join(folder, 'file'), '');
    await expectFailure(writeSafetensors(join(folder, 'file', 'x'), [states]), IoError, /its folder is a file/);
    await mkdir(join(folder, 'sub'));
    await expectFailure(writeSafetensors(join(folder, 'sub'), [states]), IoError, /cannot write .*: it is a folder/);
    expect((await readdir(folder)).sort()).toEqual(['file', 'sub']);
  }));
