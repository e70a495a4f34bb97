import { DTYPE_BITS } from '../../src/checkpoint/dtypes.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { SafetensorsFile } from '../../src/checkpoint/safetensors.ts';
import * as fc from 'fast-check';
import { fileOf, MemorySource } from '../checkpoint/support.ts';
import { apply, editsOf, fromLatin1, jsonFragments, toLatin1 } from './edits.ts';
import type { Target } from './target.ts';

export const FILES = [
  fileOf(
    {
      a: { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
      b: { dtype: 'F16', shape: [], data_offsets: [24, 26] },
    },
    26,
  ),
  fileOf(
    `${JSON.stringify({ __metadata__: { format: 'pt' }, 'é\n': { dtype: 'F4', shape: [4, 0], data_offsets: [0, 0] } })}  `,
  ),
  fileOf(
    { w: { dtype: 'BF16', shape: [8], data_offsets: [8, 24] }, i: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } },
    24,
  ),
  fileOf('{}'),
];

const FRAGMENTS = jsonFragments('dtype shape data_offsets F32 F6_E2M3 F4 C64 F64 [0,0] [1,1,1]');

/** A file with edits. `length` of its header is kept (0), follows the edits (1), or is a number of its own. */
export const mutatedFile: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    editsOf(FILES.length),
    fc.oneof({ weight: 9, arbitrary: fc.nat(1) }, fc.bigInt({ min: 2n, max: 2n ** 64n - 1n })),
  )
  .map(([{ file, edits }, length]) => {
    const before = FILES[file];
    const bytes = apply(before, edits, FRAGMENTS);
    if (bytes.length < 8 || length === 0) return bytes;
    const view = new DataView(bytes.buffer);
    // So that an edit of the header is seen at all.
    const grown = view.getBigUint64(0, true) + BigInt(bytes.length - before.length);
    view.setBigUint64(0, BigInt.asUintN(64, typeof length === 'bigint' ? length : grown), true);
    return bytes;
  });

/** Holds what the format promises of a file that was opened, by way of JSON.parse and exact integers. */
export function checkParse(file: SafetensorsFile, bytes: Uint8Array): void {
  const headerEnd = 8n + new DataView(bytes.buffer).getBigUint64(0, true);
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(8, Number(headerEnd)))) as Record<string, never>;
  const names = Object.keys(json).filter((name) => name !== '__metadata__');
  if (names.length !== file.tensors.size) throw new Error(`${file.tensors.size} tensors for ${names.join()}`);
  let end = headerEnd;
  for (const info of [...file.tensors.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const { dtype, shape, data_offsets: range } = json[info.name] as unknown as Record<string, number[]>;
    const bits = info.shape.reduce((product, size) => product * BigInt(size), BigInt(DTYPE_BITS[info.dtype]));
    const right =
      String(dtype) === info.dtype &&
      String(shape) === String(info.shape) &&
      BigInt(range?.[0] ?? -1) + headerEnd === BigInt(info.begin) &&
      BigInt(range?.[1] ?? -1) + headerEnd === BigInt(info.end) &&
      BigInt(info.begin) === end &&
      bits === 8n * BigInt(info.end - info.begin);
    if (!right) throw new Error(`wrong parse: ${JSON.stringify(info)}`);
    end = BigInt(info.end);
  }
  if (end !== BigInt(bytes.byteLength)) throw new Error(`the tensors end at ${end} of ${bytes.byteLength} bytes`);
}

/** Headers of safetensors files. MemorySource throws a RangeError, which is no refusal, where a read leaves the file. */
export const headers: Target<string> = {
  name: 'headers',
  runs: { full: 1_000_000, short: 40_000 },
  inputs: mutatedFile.map(toLatin1),
  take: async (input) => {
    const bytes = fromLatin1(input);
    checkParse(await openSafetensors(new MemorySource(bytes)), bytes);
  },
};
