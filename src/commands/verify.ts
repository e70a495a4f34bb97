import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BertModel } from '../bert/model.ts';
import { readConfig } from '../bert/config.ts';
import { InputError } from '../errors.ts';
import { pathFromHere, resolveModel } from '../hub/resolve.ts';
import { verifyFolder } from '../hub/verify.ts';
import { tableLines, naturalWidth } from '../report/layout.ts';
import { send } from '../report/stream.ts';
import type { AdapterReport } from '../analysis/result.ts';
import { PYTORCH_FACTOR, compareCase, withinPytorch } from '../verify/compare.ts';
import type { CaseReport, StageReport, Stages } from '../verify/compare.ts';
import { readReference } from '../verify/reference.ts';
import type { ReferenceSet } from '../verify/reference.ts';
import { COMMON_OPTIONS, commandHelp, parseCommand } from './arguments.ts';
import type { CommandSpec } from './arguments.ts';
import { throwIfAborted } from './io.ts';
import type { CommandIo } from './io.ts';

const SPEC: CommandSpec = {
  name: 'verify',
  summary: 'Hold hidden states, TAS, θ and buckets against reference data; exit 1 on a difference',
  usage: ['verify [--reference DIR] [--model DIR] [--stages]'],
  positionals: false,
  groups: [
    {
      title: 'What is compared',
      options: [
        {
          name: 'reference',
          value: 'DIR',
          help: 'reference data of your own (default: what comes with layer8, from Hugging Face in float64)',
        },
        { name: 'model', value: 'DIR', help: 'the model that the reference is of (default: BERT-base, uncased)' },
        { name: 'layer', value: 'N', help: 'the last layer to compare (default 8, or all of a smaller model)' },
        { name: 'only', value: 'NAMES', help: 'these cases, separated by commas' },
        {
          name: 'stages',
          help: 'also every stage inside a layer that the reference knows, with the kernel that made it',
        },
      ],
    },
    {
      title: 'Where it runs',
      options: [
        {
          name: 'adapter',
          value: 'NAME',
          help: 'part of the name of a GPU or software adapter (layer8 doctor lists them)',
        },
        { name: 'kernels', value: 'NAME', help: 'auto or a rung of the kernel ladder, such as plain' },
        { name: 'timeout', value: 'SECONDS', help: 'longest time without an answer of the GPU' },
      ],
    },
    {
      title: 'Output',
      options: [{ name: 'format', value: 'NAME', choices: ['table', 'json'], help: 'table (default) or json' }],
    },
    COMMON_OPTIONS,
  ],
};

interface VerifyResult {
  adapter: AdapterReport | undefined;
  cases: CaseReport[];
  /** Model files whose checksum is not the recorded one. */
  files: { file: string; status: string }[];
  pass: boolean;
}

/** `layer8 verify`. Returns 1 where anything is out. */
export async function verifyCommand(args: string[], io: CommandIo): Promise<number> {
  const parsed = parseCommand(SPEC, args);
  if (parsed.help) {
    await send(io.stdout, commandHelp(SPEC));
    return 0;
  }
  const layerOption = parsed.number('layer', {
    takes: 'a whole number from 0',
    accepts: (n) => Number.isInteger(n) && n >= 0,
  });
  const timeout = parsed.number('timeout', { takes: 'a number of seconds above 0', accepts: (n) => n > 0 });
  const adapter = parsed.text('adapter');
  const only = parsed.text('only')?.split(',');
  const options = {
    kernels: parsed.text('kernels') ?? 'auto',
    ...(adapter === undefined ? {} : { adapter }),
    ...(timeout === undefined ? {} : { timeout }),
    warn: (message: string) => void (parsed.has('quiet') || io.stderr.write(`layer8: ${message}\n`)),
  };
  const sets = await readReference(parsed.text('reference') ?? packagedReference());
  const json = parsed.choice('format') === 'json';
  const result: VerifyResult = { adapter: undefined, cases: [], files: [], pass: true };
  const started = performance.now();
  for (const set of sets) {
    const folder = set.model ?? (await resolveModel(parsed.text('model'))).folder;
    const checks = await verifyFolder(folder, null, io.signal);
    for (const { file, status } of checks)
      if (status.startsWith('wrong')) result.files.push({ file: join(folder, file), status });
    await verifySet(set, folder, layerOption, only, options, parsed.has('stages'), result, io, json);
  }
  if (result.cases.length === 0) throw new InputError(`no case of the reference is called ${only?.join(', ')}`);
  // The largest of a few short cases is noise.
  const excess = only === undefined && !withinPytorch(result.cases);
  result.pass = result.cases.every(({ pass }) => pass) && result.files.length === 0 && !excess;
  if (json) await send(io.stdout, `${JSON.stringify(result, null, 2)}\n`);
  else await send(io.stdout, verdict(result, excess, (performance.now() - started) / 1000));
  return result.pass ? 0 : 1;
}

async function verifySet(
  set: ReferenceSet,
  folder: string,
  layerOption: number | undefined,
  only: readonly string[] | undefined,
  options: { kernels: string },
  allStages: boolean,
  result: VerifyResult,
  io: CommandIo,
  json: boolean,
): Promise<void> {
  const cases = set.cases.filter(({ name }) => only?.includes(name) ?? true);
  if (cases.length === 0) return;
  const { numHiddenLayers } = await readConfig(folder);
  // A small model that lies beside its reference is compared to its last layer; BERT where the AFN halts.
  const layer = layerOption ?? (set.model === undefined ? Math.min(8, numHiddenLayers) : numHiddenLayers);
  await using model = await BertModel.open(folder, { ...options, layers: layer, selfCheck: false });
  const { name, vendor, architecture, backend, software } = model.gpu.description;
  result.adapter = { name, vendor, architecture, backend, software, kernels: model.rung.name };
  if (!json)
    await send(
      io.stdout,
      heading(
        folder,
        layer,
        result.adapter,
        cases.map((one) => one.name),
      ),
    );
  for (const reference of cases) {
    throwIfAborted(io.signal);
    const which: Stages = allStages ? 'all' : reference.ids.length <= 64 ? 'layers' : 'last';
    const report = await compareCase(model, reference, layer, which);
    result.cases.push(report);
    if (!json)
      for (const line of rows(
        [report],
        cases.map((one) => one.name),
      ).slice(1))
        await send(io.stdout, line);
    if (!json && allStages) for (const line of stageLines(report.stages ?? [])) await send(io.stdout, line);
  }
}

/** Reference data that comes with layer8: beside the sources of a clone, and in the package. */
function packagedReference(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const found = join(folder, 'test', 'fixtures', 'reference');
    if (existsSync(found)) return found;
  }
  throw new InputError('this installation carries no reference data', {
    hint: 'Give your own with --reference DIR: the README shows how to write it.',
  });
}

const short = (error: number | null): string => (error === null ? '–' : error === 0 ? '0' : error.toExponential(1));

function rows(reports: readonly CaseReport[], names: readonly string[]): string[] {
  const columns = [
    {
      heading: 'case',
      width: naturalWidth(names, 'case', 28),
      align: 'left' as const,
      cell: (row: CaseReport) => row.name,
    },
    { heading: 'tokens', width: 6, align: 'right' as const, cell: (row: CaseReport) => String(row.tokens) },
    { heading: 'max |error|', width: 11, align: 'right' as const, cell: (row: CaseReport) => short(row.maxAbsError) },
    {
      heading: 'PyTorch f32',
      width: 11,
      align: 'right' as const,
      cell: (row: CaseReport) => short(row.pytorchMaxAbsError),
    },
    { heading: 'TAS error', width: 9, align: 'right' as const, cell: (row: CaseReport) => short(row.tasMaxAbsError) },
    {
      heading: 'PyTorch',
      width: 7,
      align: 'right' as const,
      cell: (row: CaseReport) => short(row.pytorchTasMaxAbsError),
    },
    { heading: 'θ error', width: 7, align: 'right' as const, cell: (row: CaseReport) => short(row.thresholdError) },
    { heading: 'wrong', width: 5, align: 'right' as const, cell: (row: CaseReport) => String(row.wrongBuckets) },
    {
      heading: '',
      width: 34,
      align: 'left' as const,
      cell: (row: CaseReport) => (row.pass ? 'ok' : `OUT at ${row.firstOut}`),
    },
  ];
  return [...tableLines(columns, reports, (text) => text)];
}

function heading(folder: string, layer: number, adapter: AdapterReport, names: readonly string[]): string {
  const [head = ''] = rows([], names);
  return `\n${pathFromHere(folder)}, to layer ${layer}, on ${adapter.name}, ${adapter.kernels} kernels\n${head}`;
}

function stageLines(stages: readonly StageReport[]): string[] {
  const columns = [
    {
      heading: '  stage',
      width:
        2 +
        naturalWidth(
          stages.map(({ stage }) => stage),
          'stage',
          40,
        ),
      align: 'left' as const,
      cell: (row: StageReport) => `  ${row.stage}`,
    },
    {
      heading: 'kernel',
      width: naturalWidth(
        stages.map(({ kernel }) => kernel),
        'kernel',
        28,
      ),
      align: 'left' as const,
      cell: (row: StageReport) => row.kernel,
    },
    { heading: 'max |error|', width: 11, align: 'right' as const, cell: (row: StageReport) => short(row.maxAbsError) },
    { heading: 'of bound', width: 8, align: 'right' as const, cell: (row: StageReport) => row.share.toFixed(2) },
    { heading: '', width: 4, align: 'left' as const, cell: (row: StageReport) => (row.pass ? 'ok' : 'OUT') },
  ];
  return stages.length === 0 ? [] : [...tableLines(columns, stages, (text) => text)];
}

function verdict({ cases, files, pass }: VerifyResult, excess: boolean, seconds: number): string {
  const out = cases.filter((one) => !one.pass);
  const worst = Math.max(...cases.map(({ maxAbsError }) => maxAbsError));
  const pytorch = Math.max(0, ...cases.map(({ pytorchMaxAbsError }) => pytorchMaxAbsError ?? 0));
  const wrong = cases.reduce((sum, { wrongBuckets }) => sum + wrongBuckets, 0);
  const why = [
    ...(out[0] ? [`first out is ${out[0].name} at ${out[0].firstOut}`] : []),
    ...(excess ? [`the largest error is more than ${PYTORCH_FACTOR} times PyTorch's own`] : []),
  ];
  const lines = [
    '',
    ...files.map(({ file, status }) => `${file}: ${status}`),
    `${cases.length - out.length} of ${cases.length} cases within 1e-5 + 5e-6·|reference|, ${wrong} wrong buckets; largest error ${short(worst)}${pytorch > 0 ? `, PyTorch's own in float32 ${short(pytorch)}` : ''}; ${seconds.toFixed(1)} s`,
    pass ? 'verified' : `NOT verified${why.length > 0 ? `: ${why.join('; ')}` : ''}`,
  ];
  return `${lines.join('\n')}\n`;
}
