import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import type { SequenceResult } from '../../src/analysis/result.ts';
import type { Outcome, RunOptions } from '../cli/run.ts';
import { outcomeOf, start } from '../cli/run.ts';
import { ADAPTER, TINY } from '../support.ts';

/** The tiny models by what their matrices are stored as. Their sizes send them to different rungs of the ladder. */
export const MODELS = { F16: 'gelu-h36-a2-i20-f16', BF16: 'relu-h64-a1-i64-bf16', F32: 'gelu-h48-a3-i100' } as const;

const WORDS = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'the', 'quick', 'brown', 'fox', 'jumps', '.'];
export const TEXT = 'The quick brown fox jumps.';

const scratch = mkdtempSync(join(tmpdir(), 'layer8-faults-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A new folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  return mkdtempSync(join(scratch, 'case-'));
}

/** A copy of a tiny model with a vocabulary, which the fixtures lack. */
export function tinyModel(dtype: keyof typeof MODELS): string {
  const folder = join(temporaryFolder(), 'tiny');
  cpSync(join(TINY, MODELS[dtype]), folder, { recursive: true });
  rmSync(join(folder, 'SHA256SUMS'), { force: true });
  writeFileSync(join(folder, 'vocab.txt'), `${WORDS.join('\n')}\n`);
  return folder;
}

/** Where a tensor lies in the model's file. */
function findTensor(file: Buffer, name: string): { dtype: keyof typeof MODELS; begin: number; shape: number[] } {
  const length = Number(file.readBigUInt64LE(0));
  const { dtype, shape, data_offsets } = JSON.parse(file.toString('utf8', 8, 8 + length))[name];
  return { dtype, shape, begin: 8 + length + data_offsets[0] };
}

/** Overwrites elements of a tensor by the bits of a number; all of them where no index is given. */
export function alterTensor(model: string, name: string, bits: Record<keyof typeof MODELS, number>, at?: number): void {
  const path = join(model, 'model.safetensors');
  const file = readFileSync(path);
  const { dtype, begin, shape } = findTensor(file, name);
  const count = shape.reduce((product, extent) => product * extent, 1);
  for (let i = at ?? 0; i < (at === undefined ? count : at + 1); i++) {
    if (dtype === 'F32') file.writeUInt32LE(bits.F32, begin + 4 * i);
    else file.writeUInt16LE(bits[dtype], begin + 2 * i);
  }
  writeFileSync(path, file);
}

/** Makes the word embeddings `rows` long. They move to the end of the file, which is a hole and takes no room on the disk. */
export function enlargeVocabulary(model: string, rows: number): void {
  const path = join(model, 'model.safetensors');
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const { __metadata__, ...tensors } = JSON.parse(file.toString('utf8', 8, 8 + length));
  const [words] = Object.keys(tensors).filter((name) => name.endsWith('word_embeddings.weight'));
  const header: Record<string, unknown> = {};
  const parts: Buffer[] = [];
  let end = 0;
  for (const [name, tensor] of Object.entries<{ shape: number[]; data_offsets: number[] }>(tensors)) {
    if (name === words) continue;
    const [from, to] = tensor.data_offsets;
    parts.push(file.subarray(8 + length + from, 8 + length + to));
    header[name] = { ...tensor, data_offsets: [end, (end += to - from)] };
  }
  const { dtype, shape } = tensors[words];
  const size = rows * shape[1] * (dtype === 'F32' ? 4 : 2);
  header[words] = { dtype, shape: [rows, shape[1]], data_offsets: [end, end + size] };
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  writeFileSync(path, Buffer.concat([prefix, text, ...parts]));
  truncateSync(path, 8 + text.length + end + size);
  alterConfig(model, { vocab_size: rows });
}

/** Changes values of the model's config.json. */
export function alterConfig(model: string, values: Record<string, unknown>): void {
  const path = join(model, 'config.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...values }));
}

/** A module of test/faults/preload, and the environment that tells it what to break. */
export interface Fault {
  preload: string;
  env: Record<string, string>;
}

export function fault(
  preload: 'lose' | 'hang' | 'memory' | 'shader' | 'invalid' | 'poor' | 'wrong',
  env: Record<string, string>,
) {
  return { preload, env };
}

/** The environment of a process that the fault happens to. */
export function faultEnv({ preload, env }: Fault): Record<string, string> {
  const module = new URL(`preload/${preload}.mjs`, import.meta.url).href;
  return { ...env, NODE_OPTIONS: `--import=${module}` };
}

/** Runs the real command on a model, with a fault or without. */
export async function analyze(
  model: string,
  args: readonly string[],
  broken?: Fault,
  options: RunOptions = {},
): Promise<Outcome> {
  const env = { ...options.env, ...(broken && faultEnv(broken)) };
  const child = start(['analyze', '--adapter', ADAPTER, '--model', model, ...args], { ...options, env });
  child.stdin.end();
  return outcomeOf(ending(child));
}

/** The process, killed where it does not end: what a fault keeps alive may keep a processor busy for ever. */
export function ending(child: ChildProcessWithoutNullStreams): ChildProcessWithoutNullStreams {
  const timer = setTimeout(() => child.kill('SIGKILL'), 45_000);
  child.on('close', () => clearTimeout(timer));
  return child;
}

/** The sequences of a run with `--format json` that ended well. */
export function sequencesOf({ code, stdout, stderr }: Outcome): SequenceResult[] {
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout).sequences;
}

/** A failure: its exit code, one line on standard error that matches, no stack, nothing on standard output. */
export function expectFailure({ code, stdout, stderr }: Outcome, exitCode: number, message: RegExp): void {
  expect(stderr).toMatch(message);
  expect(stderr).toMatch(/^layer8: [^\n]*\.\n$/);
  expect(stderr).not.toMatch(/\n\s+at |internal error/);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
}
