import { vi } from 'vitest';
import { Gpu } from '../../src/gpu/device.ts';
import type { Constants, KernelSource } from '../../src/gpu/kernel.ts';
import { Recording } from '../../src/gpu/recording.ts';
import { loadKernelSource } from '../../src/gpu/sources.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';

/** What a kernel is given: numbers as float32, tables and packed weights as 32-bit words. */
export type Operand = Float32Array | Uint32Array;

/** One dispatch of a kernel. */
export interface KernelCall {
  readonly operands: Record<string, Operand>;
  readonly numbers: Record<string, number>;
  readonly grid: readonly [number, number?, number?];
  readonly constants?: Constants;
  /** Dawn's own bounds checks; on where it is left out, as for a user in a browser. */
  readonly robustness?: boolean;
}

// A driver compiles a kernel at its first dispatch, on a processor that runs other tests too.
vi.setConfig({ testTimeout: 60_000 });

/** Words after the end of every operand that a kernel must leave alone. */
export const MARGIN = 64;
const UNTOUCHED = 0x4b1dbeef;

const opened = new Map<boolean, Promise<Gpu>>();

/** The device of the tests, opened once a file. `LAYER8_TEST_ADAPTER` names the adapter. */
export function testGpu(robustness = true): Promise<Gpu> {
  let gpu = opened.get(robustness);
  if (!gpu) {
    const adapter = process.env['LAYER8_TEST_ADAPTER'];
    gpu = Gpu.open({ robustness, ...(adapter === undefined ? {} : { adapter }) });
    opened.set(robustness, gpu);
  }
  return gpu;
}

/** Disposes what the tests of a file opened. */
export async function closeGpus(): Promise<void> {
  for (const gpu of opened.values()) await (await gpu)[Symbol.asyncDispose]();
  opened.clear();
}

/**
 * Runs one dispatch of kernels/NAME.wgsl, or of the source given, and returns every operand as it is afterwards, by name.
 * @throws Error where the kernel wrote past the end of an operand.
 */
export async function runKernel<T extends Record<string, Operand>>(
  source: string | KernelSource,
  call: KernelCall & { operands: T },
): Promise<T> {
  const gpu = await testGpu(call.robustness);
  const recording = new Recording(gpu);
  const tensors: Record<string, Tensor> = {};
  for (const [i, [label, operand]] of Object.entries(call.operands).entries()) {
    tensors[label] = recording.upload(label, [operand.length + MARGIN], withMargin(operand, i));
  }
  const kernel = gpu.kernel(typeof source === 'string' ? await loadKernelSource(source) : source, call.constants);
  recording.dispatch(kernel, tensors, call.numbers, call.grid);
  const bytes = await recording.submit(Object.values(tensors));
  const after = Object.entries(call.operands).map(([label, operand], i) => {
    const words = new Uint32Array(bytes[i] as ArrayBuffer);
    if (!isMargin(words.subarray(operand.length), i)) throw new Error(`${kernel.name} wrote past the end of ${label}`);
    const values = words.slice(0, operand.length);
    return [label, operand instanceof Float32Array ? new Float32Array(values.buffer) : values];
  });
  return Object.fromEntries(after) as T;
}

/** The words of the `index`-th operand and a margin. Each has another, so that one copied from operand to operand is seen. */
export function withMargin(operand: Operand, index: number): Uint32Array {
  const words = new Uint32Array(operand.length + MARGIN).fill(UNTOUCHED + index);
  words.set(new Uint32Array(operand.buffer, operand.byteOffset, operand.length));
  return words;
}

/** Whether nobody wrote to the margin of the `index`-th operand. */
export function isMargin(words: Uint32Array, index: number): boolean {
  return words.every((word) => word === UNTOUCHED + index);
}
