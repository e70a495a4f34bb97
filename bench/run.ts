/** `npm run bench`: what it can measure, and with which options. bench/README.md says how. */
import { existsSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Layer8Error, UsageError } from '../src/errors.ts';
import { chooseAdapter } from './adapter.ts';
import { measureKernels } from './kernels.ts';
import { formatKernels } from './kernel-tables.ts';
import { MODEL, writeResults } from './machine.ts';
import { comparePeers } from './peers.ts';
import { ENGINE_NAMES, type EngineName, type RunDescription } from './results.ts';
import { SIZE_NAMES } from './sizes.ts';
import { formatResults, throughputTable } from './tables.ts';
import { measureThroughput } from './throughput.ts';

const USAGE = `npm run bench -- [options]              layer8 and onnxruntime, on one adapter
npm run bench -- kernels [options]      the ladder of kernels, operation by operation and end to end
npm run bench -- throughput [options]   tokens a second of a text, and of one ten times as long

  --adapter NAME       adapter, as layer8's own --adapter: gpu, lavapipe, swiftshader, … (default: the best)
  --rounds N           rounds a measurement (default: as many as time allows)
  --robustness on|off  bounds checks in layer8's shaders (default: off, as in the product)
  --format table|json
layer8 and onnxruntime only:
  --only LIST          of ${SIZE_NAMES.join(',')},cold
  --engines LIST       of ${ENGINE_NAMES.join(',')}
  --kernels NAME       rung that layer8 takes (default: its own choice)`;

const COMMANDS = ['peers', 'kernels', 'throughput'] as const;

const ARGUMENTS = {
  adapter: { type: 'string' },
  only: { type: 'string' },
  engines: { type: 'string' },
  rounds: { type: 'string' },
  robustness: { type: 'string', default: 'off' },
  kernels: { type: 'string', default: '' },
  format: { type: 'string', default: 'table' },
  help: { type: 'boolean', default: false },
} as const;

type Arguments = ReturnType<typeof parseArgs<{ options: typeof ARGUMENTS }>>['values'];

/** A finished measurement: as the command prints it, and whether it goes to bench/results. */
interface Finished {
  results: RunDescription;
  table: string;
  /** Before the adapter in the file's name. */
  prefix: string;
  /** A partial run is printed only. */
  complete: boolean;
}

async function main(): Promise<void> {
  const { command, values } = readArguments();
  if (values.help) return console.log(USAGE);
  const rounds = values.rounds === undefined ? null : Number(values.rounds);
  if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0))
    throw new UsageError(`--rounds takes a number ≥ 1, not "${values.rounds}"`);
  if (!existsSync(MODEL)) throw new UsageError(`the benchmark needs the weights in ${MODEL}`);
  const log = (message: string) => process.stderr.write(`${message}\n`);
  const common = { rounds, robustness: values.robustness === 'on', log };
  const adapter = await chooseAdapter(values.adapter);

  const measure = async (): Promise<Finished> => {
    if (command === 'kernels') {
      const results = await measureKernels(adapter, common);
      return { results, table: formatKernels(results), prefix: 'kernels', complete: enough(rounds) };
    }
    if (command === 'throughput') {
      const results = await measureThroughput(adapter, common);
      return { results, table: throughputTable(results), prefix: 'throughput', complete: enough(rounds) };
    }
    const only = listed(values.only, [...SIZE_NAMES, 'cold'], '--only');
    const engines = listed(values.engines, ENGINE_NAMES, '--engines') as EngineName[];
    const results = await comparePeers(adapter, { ...common, only, engines, kernels: values.kernels });
    const complete =
      only.length === SIZE_NAMES.length + 1 && engines.length === ENGINE_NAMES.length && values.kernels === '';
    return { results, table: formatResults(results), prefix: '', complete };
  };

  const { results, table, prefix, complete } = await measure();
  console.log(values.format === 'json' ? JSON.stringify(results, null, 2) : table);
  if (complete)
    log(`written: ${writeResults(prefix, results, adapter)}; npx tsx bench/tables.ts puts it into the documents`);
  else log('bench/results/ keeps only complete runs: this one was not written');
}

/** A median of one or two is none: such a run only tries whether everything works. */
const enough = (rounds: number | null) => rounds === null || rounds >= 3;

function readArguments(): { command: (typeof COMMANDS)[number]; values: Arguments } {
  let values: Arguments;
  let positionals: string[];
  try {
    ({ values, positionals } = parseArgs({ options: ARGUMENTS, allowPositionals: true }));
  } catch (error) {
    throw new UsageError((error as Error).message, { hint: USAGE });
  }
  const command = COMMANDS.find((name) => name === (positionals[0] ?? 'peers'));
  if (command === undefined || positionals.length > 1)
    throw new UsageError(`the benchmark has no "${positionals.join(' ')}"`, { hint: USAGE });
  for (const [option, choices] of [
    ['robustness', ['on', 'off']],
    ['format', ['table', 'json']],
  ] as const) {
    if (!choices.includes(values[option] as never))
      throw new UsageError(`--${option} is ${choices.join(' or ')}, not "${values[option]}"`);
  }
  for (const option of ['only', 'engines', 'kernels'] as const) {
    if (command !== 'peers' && values[option]) throw new UsageError(`${command} takes no --${option}`);
  }
  return { command, values };
}

function listed(value: string | undefined, all: readonly string[], option: string): string[] {
  if (value === undefined) return [...all];
  const names = value.split(',');
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UsageError(`${option} knows no "${unknown}": there is ${all.join(', ')}`);
  return names;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Layer8Error)) throw error;
  process.stderr.write(`${[error.message, error.hint].filter(Boolean).join('\n')}\n`);
  process.exitCode = error.exitCode;
}
