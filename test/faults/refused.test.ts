import { spawn } from 'node:child_process';
import { cpSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { SequenceResult } from '../../src/analysis/result.ts';
import { allclose } from '../allclose.ts';
import { outcomeOf, run } from '../cli/run.ts';
import { ADAPTER, ROOT } from '../support.ts';
import {
  TEXT,
  analyze,
  enlargeVocabulary,
  expectFailure,
  fault,
  faultEnv,
  sequencesOf,
  temporaryFolder,
  tinyModel,
} from './support.ts';

const JSON_ARGS = ['--format', 'json'];
const tasOf = (sequences: SequenceResult[]): number[] =>
  sequences.flatMap(({ tokens }) => tokens.map(({ tas }) => tas));

describe('an adapter that offers too little', () => {
  // fault 34
  test('a model larger than its limits: the limit, the need and the offer', async () => {
    const model = tinyModel('F16');
    enlargeVocabulary(model, 64_000_000); // 4.6 GB, more than any 32-bit limit
    expectFailure(
      await analyze(model, [TEXT]),
      5,
      /the model is too large for this adapter: \S*word_embeddings\.weight needs maxStorageBufferBindingSize 4608000000, .* offers \d+\. Choose another adapter/,
    );
  });

  // fault 35
  test('no subgroups and no float16: kernels that need neither, the same numbers', async () => {
    const model = tinyModel('BF16');
    const poor = fault('poor', { FAULT_WITHOUT: 'subgroups,shader-f16' });
    const usual = await analyze(model, [...JSON_ARGS, TEXT]);
    const without = await analyze(model, [...JSON_ARGS, TEXT], poor);
    expect(without.stderr).toBe('');
    allclose(tasOf(sequencesOf(without)), tasOf(sequencesOf(usual)), { atol: 2e-5 });
    expect(JSON.parse(usual.stdout).adapter.kernels).toBe('subgroup');
    expect(JSON.parse(without.stdout).adapter.kernels).toBe('tiled');
  });

  // fault 36
  test('a driver that is too old: refused, by its version', async () => {
    // The software adapter plays a driver of the system, which the loader finds by these variables, and says it is old.
    const cache = temporaryFolder();
    const command = (name: string): string[] => ['analyze', '--adapter', name, '--model', tinyModel('F16'), TEXT];
    expect((await run(command('swiftshader'), { env: { XDG_CACHE_HOME: cache } })).code).toBe(0);
    const [folder] = readdirSync(join(cache, 'layer8')).filter((name) => name.startsWith('swiftshader'));
    const installed = join(cache, 'layer8', folder as string);
    const system = { LD_LIBRARY_PATH: installed, VK_DRIVER_FILES: join(installed, 'vk_swiftshader_icd.json') };
    const old = faultEnv(fault('poor', { FAULT_DRIVER: 'llvmpipe: Mesa 22.3.6 (LLVM 15.0.6)' }));
    expectFailure(
      await run(command('lavapipe'), { env: { ...system, ...old } }),
      5,
      /no adapter is called "lavapipe": there is SwiftShader \[swiftshader\]; lavapipe of Mesa 22\.3\.6 is too old: 25 or newer/,
    );
  });
});

describe('memory that does not suffice', () => {
  test.each([
    ['that the warm-up needs', 'embeddings.word_embeddings.weight'],
    ['that it does not need', 'encoder.layer.3.output.dense.weight'],
  ])('for weights %s: the tensor that found none', async (_, tensor) => {
    const broken = fault('memory', { FAULT_LABEL: `^${tensor}$`, FAULT_BYTES: '0' });
    const message = `the model does not fit: the GPU's memory does not suffice: ${tensor} of [^:]*: .*Halt at an earlier`;
    expectFailure(await analyze(tinyModel('F16'), [TEXT], broken), 5, new RegExp(message));
  });

  // faults 39, 43
  test('for a batch: smaller batches, the same result', async () => {
    const model = tinyModel('F16');
    const file = join(temporaryFolder(), 'lines.txt');
    writeFileSync(file, `${TEXT}\n`.repeat(12));
    const args = [...JSON_ARGS, '--file', file, '--split', 'line'];
    // The scores of twelve lines do not fit, those of six do.
    const broken = fault('memory', { FAULT_LABEL: '^scores$', FAULT_BYTES: '4000' });
    const outcome = await analyze(model, args, broken);
    expect(outcome.stderr).toBe('');
    expect(sequencesOf(outcome)).toEqual(sequencesOf(await analyze(model, args)));
  });

  // fault 39
  test('for a single text: an error', async () => {
    const broken = fault('memory', { FAULT_LABEL: '^scores$', FAULT_BYTES: '300' });
    expectFailure(
      await analyze(tinyModel('F16'), [TEXT], broken),
      6,
      /the GPU's memory does not suffice: \d+ dispatches: .* A shorter text or a smaller batch needs less/,
    );
  });
});

describe('work that the driver refuses', () => {
  // fault 42
  test('a validation error says that it is a bug, and names the kernel', async () => {
    expectFailure(
      await analyze(tinyModel('F16'), ['--kernels', 'plain', TEXT], fault('invalid', { FAULT_DISPATCH: '3' })),
      6,
      /the GPU refused the work, which is a bug in layer8: \d+ dispatches, kernel \w+: Dispatch workgroup count/,
    );
  });

  // fault 44
  test.each([
    ['a kernel that every run needs', 'attention_subgroup'],
    ['a kernel that only this batch needs', 'linear_subgroup_16'],
  ])('%s does not compile: the next rung, one warning', async (_, kernel) => {
    const model = tinyModel('BF16');
    const text = `${TEXT} ${TEXT}`; // 14 tokens: a tile of 16 rows
    const outcome = await analyze(model, [...JSON_ARGS, text], fault('shader', { FAULT_KERNEL: kernel }));
    expect(outcome.stderr).toMatch(
      new RegExp(`^layer8: a kernel does not compile on this driver: ${kernel}[^\n]*; using the tiled kernels\n$`),
    );
    const sequence = sequencesOf(outcome);
    const usual = sequencesOf(await analyze(model, [...JSON_ARGS, text]));
    allclose(tasOf(sequence), tasOf(usual), { atol: 2e-5 });
  });

  // fault 44
  test('a kernel of every rung does not compile: an error', async () => {
    expectFailure(
      await analyze(tinyModel('F16'), ['--quiet', TEXT], fault('shader', { FAULT_KERNEL: '^embeddings$' })),
      6,
      /a kernel does not compile on this driver: embeddings on .*another adapter with --adapter/,
    );
  });

  test('a kernel whose file is gone: says to install again', async () => {
    const copy = temporaryFolder();
    for (const part of ['src', 'kernels', 'package.json', 'tsconfig.json'])
      cpSync(join(ROOT, part), join(copy, part), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    rmSync(join(copy, 'kernels', 'rank_select.wgsl'));
    const command = [
      '--import',
      'tsx',
      'src/cli.ts',
      'analyze',
      '--adapter',
      ADAPTER,
      '--model',
      tinyModel('F16'),
      TEXT,
    ];
    const outcome = await outcomeOf(spawn(process.execPath, command, { cwd: copy }));
    expectFailure(outcome, 7, /cannot read the kernel rank_select: .*install it again/);
  });
});
