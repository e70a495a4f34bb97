import { describe, expect, test } from 'vitest';
import { tensorRef } from '../../src/checkpoint/checkpoint.ts';
import type { TensorRef } from '../../src/checkpoint/checkpoint.ts';
import { widenToF32 } from '../../src/checkpoint/dtypes.ts';
import type { Dtype } from '../../src/checkpoint/dtypes.ts';
import { readAllF32, readAllI32, readF32, readRaw } from '../../src/checkpoint/read.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { ModelError } from '../../src/errors.ts';
import { MemorySource, expectFailure, fileOf } from './support.ts';

const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const bitsOf = (array: Float32Array): Uint32Array => new Uint32Array(array.buffer, array.byteOffset, array.length);

/** A tensor behind a one-byte one, so that its elements lie unaligned. */
async function tensorOf(dtype: Dtype, data: Uint8Array, shape: readonly number[]): Promise<TensorRef> {
  const header = {
    odd: { dtype: 'U8', shape: [1], data_offsets: [0, 1] },
    t: { dtype, shape, data_offsets: [1, 1 + data.byteLength] },
  };
  const payload = new Uint8Array(1 + data.byteLength);
  payload.set(data, 1);
  const file = await openSafetensors(new MemorySource(fileOf(header, payload)));
  const info = file.tensors.get('t');
  if (info === undefined) throw new Error('no tensor');
  return tensorRef(file, info);
}

/** The value of float16 bits, by the definition in IEEE 754. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

describe('widening to float32', () => {
  test('every float16, exactly', async () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const widened = await readAllF32(await tensorOf('F16', bytesOf(all), [256, 256]));
    expect(widened).toHaveLength(65_536);
    for (let bits = 0; bits < 65_536; bits++) {
      if (!Object.is(widened[bits], half(bits))) throw new Error(`${bits}: ${widened[bits]}, not ${half(bits)}`);
    }
  });

  test('every bfloat16: the upper half of a float32, payloads of NaNs included', async () => {
    const all = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);
    const bits = bitsOf(await readAllF32(await tensorOf('BF16', bytesOf(all), [65_536])));
    expect(bits.every((value, i) => value === i * 65_536)).toBe(true);
  });

  test('float32 bit by bit: ±0, denormals, ±∞, quiet and signalling NaNs', async () => {
    const bits = Uint32Array.of(
      0,
      0x8000_0000,
      1,
      0x807f_ffff,
      0x7f80_0000,
      0xff80_0000,
      0x7fc0_0001,
      0x7f80_0001,
      0x3f80_0001,
    );
    expect(bitsOf(await readAllF32(await tensorOf('F32', bytesOf(bits), [3, 3])))).toEqual(bits);
  });

  test('float64 to the nearest float32, ties to even', async () => {
    const ulp = 2 ** -23;
    const values = [
      0,
      -0,
      1 + ulp / 2,
      1 + 1.5 * ulp,
      1 + 0.51 * ulp,
      1e300,
      -1e300,
      2 ** -150,
      2 ** -149,
      NaN,
      -Infinity,
    ];
    const rounded = await readAllF32(await tensorOf('F64', bytesOf(Float64Array.from(values)), [values.length]));
    expect([...rounded]).toEqual([0, -0, 1, 1 + 2 * ulp, 1 + ulp, Infinity, -Infinity, 0, 2 ** -149, NaN, -Infinity]);
  });

  test('writes no more than it is asked for', () => {
    const out = new Float32Array(4).fill(7);
    widenToF32('BF16', Uint8Array.of(0x80, 0x3f, 0x80, 0x3f), out, 2);
    expect([...out]).toEqual([1, 1, 7, 7]);
  });
});

describe('chunks', () => {
  const values = Float32Array.from({ length: 1000 }, (_, i) => i);

  test.each([1, 7, 250, 999, 1000, 5000])('of %d elements, in order, without a gap', async (chunkElements) => {
    const tensor = await tensorOf('F32', bytesOf(values), [10, 100]);
    const read: number[] = [];
    const read32 = async (chunk: Float32Array, offset: number): Promise<void> => {
      expect(offset).toBe(read.length);
      expect(chunk.length).toBeLessThanOrEqual(chunkElements);
      // A sink that takes its time still sees its own chunk.
      await new Promise((resolve) => setImmediate(resolve));
      read.push(...chunk);
    };
    await readF32(tensor, read32, chunkElements);
    expect(read).toEqual([...values]);
  });

  test('of raw bytes', async () => {
    const tensor = await tensorOf('F32', bytesOf(values), [1000]);
    const read = new Uint8Array(4000);
    const offsets: number[] = [];
    const take = (chunk: Uint8Array, offset: number): void => {
      offsets.push(offset);
      read.set(chunk, offset);
    };
    await readRaw(tensor, take, 1024);
    expect(offsets).toEqual([0, 1024, 2048, 3072]);
    expect(read).toEqual(bytesOf(values));
  });

  test('of a large tensor are of at most 1 MiB', async () => {
    const tensor = await tensorOf('F16', new Uint8Array(2 * 600_000), [600_000]);
    const lengths: number[] = [];
    await readF32(tensor, (chunk) => void lengths.push(chunk.byteLength));
    await readRaw(tensor, (chunk) => void lengths.push(chunk.byteLength));
    expect(lengths).toEqual([1_048_576, 1_048_576, 302_848, 1_048_576, 151_424]);
  });

  test('of nothing', async () => {
    const tensor = await tensorOf('F32', new Uint8Array(), [0, 5]);
    const fail = (): never => {
      throw new Error('called');
    };
    await readF32(tensor, fail);
    await readRaw(tensor, fail);
    expect(await readAllF32(tensor)).toHaveLength(0);
  });

  test('the next one is read while the sink has one, and no read outlives the call', async () => {
    const tensor = await tensorOf('F32', bytesOf(values), [1000]);
    const reads: { offset: number; done: boolean }[] = [];
    const watched: TensorRef = {
      ...tensor,
      read: async (offset, length, into) => {
        const read = { offset, done: false };
        reads.push(read);
        await new Promise((resolve) => setTimeout(resolve, 5));
        read.done = true;
        return tensor.read(offset, length, into);
      },
    };
    const begun: number[] = [];
    await readRaw(watched, () => void begun.push(reads.length), 1024);
    expect(begun).toEqual([2, 3, 4, 4]);
    reads.length = 0;
    const fail = (): never => {
      throw new Error('full');
    };
    await expect(readRaw(watched, fail, 1024)).rejects.toThrow('full');
    expect(reads).toEqual([
      { offset: 0, done: true },
      { offset: 1024, done: true },
    ]);
  });

  test('a read that fails ends the reading, whatever the sink does meanwhile', async () => {
    const tensor = await tensorOf('F32', bytesOf(values), [1000]);
    const broken: TensorRef = {
      ...tensor,
      read: (offset, length, into) =>
        offset === 1024 ? Promise.reject(new Error('gone')) : tensor.read(offset, length, into),
    };
    const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
    await expect(readRaw(broken, turn, 1024)).rejects.toThrow('gone');
  });

  test('what a sink throws ends the reading', async () => {
    const tensor = await tensorOf('F32', bytesOf(values), [1000]);
    let calls = 0;
    const sink = (): void => {
      calls++;
      throw new Error('full');
    };
    await expect(readF32(tensor, sink, 10)).rejects.toThrow('full');
    expect(calls).toBe(1);
  });
});

test('integers are not widened, and floats are no integers', async () => {
  const integers = await tensorOf('I32', bytesOf(Int32Array.of(-1, 2 ** 31 - 1)), [2]);
  expect([...(await readAllI32(integers))]).toEqual([-1, 2 ** 31 - 1]);
  await expectFailure(readAllF32(integers), ModelError, /tensor "t" of file\.safetensors is stored as I32/);
  const floats = await tensorOf('F32', bytesOf(Float32Array.of(1)), [1]);
  await expectFailure(readAllI32(floats), ModelError, /is F32, where I32 is needed/);
});
