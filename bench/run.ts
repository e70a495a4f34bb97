/** `npm run bench`: layer8 and onnxruntime on one adapter, in turns. bench/README.md says what is measured and how. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Layer8Error, UsageError } from '../src/errors.ts';
import type { AdapterDescription } from '../src/gpu/adapter.ts';
import { chooseAdapter, environmentOf } from './adapter.ts';
import { measureColdStart, measureSize, type Contestant, type Plan, type ShaderCache } from './measure.ts';
import { EngineProcess } from './process.ts';
import { ENGINE_NAMES, type EngineName, type Results } from './results.ts';
import { buildSizes, SIZE_NAMES, type Size } from './sizes.ts';
import { formatResults } from './tables.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const BENCH = join(ROOT, 'bench');
const CACHE = join(BENCH, '.cache');
/** The engines as plain JavaScript: a transpiler in their processes would count as their start and their memory. */
const COMPILED = join(CACHE, 'js');
const MODEL = join(ROOT, 'weights', 'bert-base-uncased');
const REFERENCE = join(ROOT, 'test', 'fixtures', 'reference', 'bert-base-uncased');
const LAYERS = 8;

const USAGE = `npm run bench -- [options]
  --adapter NAME       adapter, as layer8's own --adapter: gpu, lavapipe, swiftshader, … (default: the best)
  --only LIST          of ${SIZE_NAMES.join(',')},cold
  --engines LIST       of ${ENGINE_NAMES.join(',')}
  --rounds N           rounds a size (default: 3 to 9, as time allows)
  --robustness on|off  bounds checks in layer8's shaders (default: on, as in the product)
  --kernels NAME       rungs that layer8 takes (default: its own choice)
  --format table|json`;

const ARGUMENTS = {
  adapter: { type: 'string' },
  only: { type: 'string' },
  engines: { type: 'string' },
  rounds: { type: 'string' },
  robustness: { type: 'string', default: 'on' },
  kernels: { type: 'string', default: '' },
  format: { type: 'string', default: 'table' },
  help: { type: 'boolean', default: false },
} as const;

type Arguments = ReturnType<typeof parseArgs<{ options: typeof ARGUMENTS }>>['values'];

async function main(): Promise<void> {
  const values = readArguments();
  if (values.help) return console.log(USAGE);
  const only = listed(values.only, [...SIZE_NAMES, 'cold'], '--only');
  const engines = listed(values.engines, ENGINE_NAMES, '--engines') as EngineName[];
  const rounds = values.rounds === undefined ? null : Number(values.rounds);
  if (rounds !== null && !(Number.isInteger(rounds) && rounds > 0))
    throw new UsageError(`--rounds takes a number ≥ 1, not "${values.rounds}"`);
  if (!existsSync(MODEL)) throw new UsageError(`the benchmark needs the weights in ${MODEL}`);

  const log = (message: string) => process.stderr.write(`${message}\n`);
  installPeers(log);
  compileEngines();
  const adapter = await chooseAdapter(values.adapter);
  const plan = await planOf(adapter, values, engines, rounds, log);
  await prepare(plan);

  const results: Results = {
    adapter: adapter.driver.startsWith(adapter.name)
      ? adapter.driver
      : [adapter.name, adapter.driver].filter(Boolean).join(', '),
    cpu: describeCpu(),
    threads: plan.options.threads,
    robustness: plan.options.robustness,
    versions: versions(),
    date: new Date().toISOString().slice(0, 10),
    rows: [],
    cold: [],
  };
  const sizes = buildSizes(REFERENCE, MODEL);
  for (const size of sizes.filter(({ name }) => only.includes(name))) {
    results.rows.push(
      await measureSize({ ...plan, contestants: contestantsAt(size, plan.contestants, adapter) }, size),
    );
  }
  if (only.includes('cold')) {
    for (const cache of shaderCaches(adapter)) results.cold.push(await measureColdStart(plan, sizes[0], cache));
  }

  console.log(values.format === 'json' ? JSON.stringify(results, null, 2) : formatResults(results));
  const complete = only.length === SIZE_NAMES.length + 1 && engines.length === ENGINE_NAMES.length;
  if (complete && values.kernels === '')
    log(`written: ${writeResults(results, adapter)}; npx tsx bench/tables.ts puts it into the documents`);
  else log('bench/results/ keeps only complete runs: this one was not written');
}

function readArguments(): Arguments {
  let values: Arguments;
  try {
    ({ values } = parseArgs({ options: ARGUMENTS }));
  } catch (error) {
    throw new UsageError((error as Error).message, { hint: USAGE });
  }
  for (const [option, choices] of [
    ['robustness', ['on', 'off']],
    ['format', ['table', 'json']],
  ] as const) {
    if (!choices.includes(values[option] as never))
      throw new UsageError(`--${option} is ${choices.join(' or ')}, not "${values[option]}"`);
  }
  return values;
}

function listed(value: string | undefined, all: readonly string[], option: string): string[] {
  if (value === undefined) return [...all];
  const names = value.split(',');
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new UsageError(`${option} knows no "${unknown}": there is ${all.join(', ')}`);
  return names;
}

/** The peers are a package of their own, so that who does not measure does not download them. */
function installPeers(log: (message: string) => void): void {
  if (existsSync(join(BENCH, 'node_modules', 'onnxruntime-node'))) return;
  log('installing the peers: npm ci --prefix bench');
  execFileSync('npm', ['ci', '--prefix', BENCH], {
    cwd: BENCH,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
}

function compileEngines(): void {
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  rmSync(COMPILED, { recursive: true, force: true });
  execFileSync(process.execPath, [compiler, '-p', BENCH, '--noCheck'], { stdio: ['ignore', 2, 2] });
  mkdirSync(join(COMPILED, 'kernels'), { recursive: true });
  for (const file of readdirSync(join(ROOT, 'kernels'))) {
    if (file.endsWith('.wgsl')) cpSync(join(ROOT, 'kernels', file), join(COMPILED, 'kernels', file));
  }
}

async function planOf(
  adapter: AdapterDescription,
  values: Arguments,
  engines: EngineName[],
  rounds: number | null,
  log: (message: string) => void,
): Promise<Plan> {
  const scripts: Record<EngineName, string[]> = {
    layer8: [join(COMPILED, 'bench', 'engines', 'layer8.js')],
    'onnxruntime-webgpu': [join(COMPILED, 'bench', 'peer', 'onnxruntime.js'), 'webgpu'],
    'onnxruntime-cpu': [join(COMPILED, 'bench', 'peer', 'onnxruntime.js'), 'cpu'],
  };
  return {
    contestants: ENGINE_NAMES.filter((name) => engines.includes(name)).map((name) => ({ name, argv: scripts[name] })),
    options: {
      model: MODEL,
      layers: LAYERS,
      cache: CACHE,
      threads: availableParallelism(),
      adapter: adapter.kind === 'gpu' ? adapter.name : adapter.kind,
      robustness: values.robustness === 'on',
      kernels: values.kernels,
    },
    shape: JSON.parse(readFileSync(join(MODEL, 'config.json'), 'utf8')),
    environment: { ...(await environmentOf(adapter)), MESA_SHADER_CACHE_DIR: join(CACHE, 'mesa') },
    rounds,
    log,
  };
}

async function prepare(plan: Plan): Promise<void> {
  for (const contestant of plan.contestants) {
    const engine = new EngineProcess(contestant, plan.environment);
    try {
      await engine.ask({ cmd: 'prepare', options: plan.options });
    } finally {
      engine.kill();
    }
  }
}

/** SwiftShader takes minutes for a larger batch of onnxruntime's: it is asked for the two small ones. */
function contestantsAt({ name }: Size, all: Contestant[], { kind }: AdapterDescription): Contestant[] {
  if (kind !== 'swiftshader' || name === '1x12' || name === '1x128') return all;
  return all.filter((contestant) => contestant.name !== 'onnxruntime-webgpu');
}

/** Only Mesa keeps compiled shaders on disk; lavapipe is the Mesa driver that compiles long enough to matter. */
function shaderCaches({ kind }: AdapterDescription): ShaderCache[] {
  if (kind !== 'lavapipe') return [{ name: "the driver's own", folder: null, emptied: false }];
  const folder = join(CACHE, 'mesa-cold');
  return [
    { name: 'Mesa, empty', folder, emptied: true },
    { name: 'Mesa, warm', folder, emptied: false },
  ];
}

function writeResults(results: Results, { kind, name }: AdapterDescription): string {
  const slug = kind === 'gpu' ? name.toLowerCase().replace(/[^a-z0-9]+/g, '-') : kind;
  const file = `bench/results/${slug}${results.robustness ? '' : '-robustness-off'}.json`;
  mkdirSync(join(BENCH, 'results'), { recursive: true });
  writeFileSync(join(ROOT, file), `${JSON.stringify(results, null, 2)}\n`);
  return file;
}

/** The CPU's name, its threads and its widest vectors: cloud machines hide the model. */
function describeCpu(): string {
  const flags = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const vectors = /\bavx512f\b/.test(flags) ? ', AVX-512' : /\bavx2\b/.test(flags) ? ', AVX2' : '';
  return `${cpus()[0].model.trim()}, ${availableParallelism()} threads${vectors}`;
}

function versions(): Record<string, string> {
  const read = (...path: string[]): string =>
    JSON.parse(readFileSync(join(ROOT, ...path, 'package.json'), 'utf8')).version;
  return {
    layer8: read(),
    'onnxruntime-node': read('bench', 'node_modules', 'onnxruntime-node'),
    webgpu: read('node_modules', 'webgpu'),
    node: process.versions.node,
  };
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Layer8Error)) throw error;
  process.stderr.write(`${[error.message, error.hint].filter(Boolean).join('\n')}\n`);
  process.exitCode = error.exitCode;
}
