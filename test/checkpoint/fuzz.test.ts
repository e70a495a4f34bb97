import { expect, test } from 'vitest';
import { DTYPE_BITS } from '../../src/checkpoint/dtypes.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { SafetensorsFile } from '../../src/checkpoint/safetensors.ts';
import { ModelError } from '../../src/errors.ts';
import { MemorySource, fileOf } from './support.ts';

const CASES = 120_000;

/** mulberry32: small, seeded, and good enough to choose mutations. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const SEEDS = [
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
/** Separated by spaces, but for those that hold one. */
const TOKENS = String.raw`{ } [ ] , : " \ \u \ud800 0 - . e9 00 1e999 9007199254740993 18446744073709551616 ,0 0, null true {}
  [] "" ,"a":{} __metadata__ dtype shape data_offsets __proto__ F6_E2M3 C64 F64 [[[[[[[[[[[[[[[[[[[[`;
const FRAGMENTS = [...TOKENS.split(/\s+/), ' ', '\n', '\0', '\u{feff}', '{"":'.repeat(20)].map((text) =>
  new TextEncoder().encode(text),
);

/** One to four edits: a byte, a run of bytes, a fragment, the length of the header, the end of the file. */
function mutate(file: Uint8Array, below: (n: number) => number): Uint8Array {
  let bytes = [...file];
  for (let edits = 1 + below(4); edits > 0; edits--) {
    const at = below(bytes.length + 1);
    const fragment = FRAGMENTS[below(FRAGMENTS.length)] as Uint8Array;
    const before = bytes.length;
    switch (below(8)) {
      case 0:
        bytes[at] = below(256);
        break;
      case 1:
        bytes.splice(at, 1 + below(8));
        break;
      case 2:
        bytes.splice(at, 0, ...bytes.slice(at, at + below(60)));
        break;
      case 3:
        bytes.splice(at, below(6), ...fragment);
        break;
      case 4:
        // One digit for another: the mutation that comes nearest to a right file.
        bytes = bytes.map((byte) => (byte >= 0x30 && byte <= 0x39 && below(12) === 0 ? 0x30 + below(10) : byte));
        break;
      case 5:
        bytes[below(8)] = [0, 1, 2, 127, 128, 255][below(6)] as number;
        break;
      case 6:
        bytes.length = Math.min(bytes.length, at);
        break;
      case 7:
        bytes.push(...fragment);
        break;
    }
    // Half of the time the length follows an edit of the header, so that the edit is seen at all.
    if (bytes.length >= 8 && below(2) === 0) {
      const view = new DataView(Uint8Array.from(bytes.slice(0, 8)).buffer);
      const length = view.getBigUint64(0, true) + BigInt(bytes.length - before);
      for (let i = 0; i < 8; i++) bytes[i] = Number((length >> BigInt(8 * i)) & 0xffn);
    }
  }
  return Uint8Array.from(bytes, (byte) => byte ?? 0);
}

/** Holds what the format promises of a file that was opened, by way of JSON.parse and exact integers. */
function checkParse(file: SafetensorsFile, bytes: Uint8Array): void {
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

/** MemorySource throws a RangeError, which no catch below takes for a refusal, where a read leaves the file. */
test(`${CASES} mutated headers: an error of ours or a right parse`, { timeout: 60_000 }, async () => {
  const below = random(8);
  let parsed = 0;
  const refusals = new Set<string>();
  for (let i = 0; i < CASES; i++) {
    const bytes = mutate(SEEDS[i % SEEDS.length] as Uint8Array, below);
    try {
      const file = await openSafetensors(new MemorySource(bytes));
      checkParse(file, bytes);
      parsed++;
    } catch (error) {
      if (!(error instanceof ModelError)) throw new Error(`case ${i}: ${[...bytes].join()}`, { cause: error });
      refusals.add(error.message.replaceAll(/"(?:[^"\\]|\\.)*"|\d+/g, ''));
    }
  }
  // The mutations reach both sides, and most of the rules.
  expect(parsed).toBeGreaterThan(CASES / 100);
  expect(refusals.size).toBeGreaterThan(30);
});

test('a header of many megabytes is read in time that grows with its length', { timeout: 30_000 }, async () => {
  const keys = Array.from(
    { length: 200_000 },
    (_, i) => `"t${i}":{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`,
  );
  const file = await openSafetensors(new MemorySource(fileOf(`{${keys.join()}}`, keys.length)));
  expect(file.tensors.size).toBe(keys.length);
});
