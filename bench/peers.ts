/** layer8 and onnxruntime on one adapter, in turns. bench/README.md says what is measured and how. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import type { AdapterDescription } from '../src/gpu/adapter.ts';
import { environmentOf } from './adapter.ts';
import { adapterArgument, BENCH, CACHE, describeRun, LAYERS, MODEL, REFERENCE, ROOT } from './machine.ts';
import { measureColdStart, measureSize, type Contestant, type Plan, type ShaderCache } from './measure.ts';
import { EngineProcess } from './process.ts';
import { ENGINE_NAMES, type EngineName, type Results } from './results.ts';
import { buildSizes, type Size } from './sizes.ts';

/** The engines as plain JavaScript: a transpiler in their processes would count as their start and their memory. */
const COMPILED = join(CACHE, 'js');

/** What is compared, and how often. */
export interface Comparison {
  /** Names of sizes, and `cold` for the cold start. */
  only: readonly string[];
  engines: readonly EngineName[];
  /** Fixed number of rounds, or null for as many as time allows. */
  rounds: number | null;
  /** Whether layer8 runs with Dawn's bounds checks. */
  robustness: boolean;
  /** Rung that layer8 takes; empty for its own choice. */
  kernels: string;
  log: (message: string) => void;
}

/**
 * Checks every engine, then times it.
 * @throws Error where a peer fails or computes wrongly
 */
export async function comparePeers(adapter: AdapterDescription, comparison: Comparison): Promise<Results> {
  const { only, robustness, log } = comparison;
  installPeers(log);
  compileEngines();
  const plan = await planOf(adapter, comparison);
  await prepare(plan);

  const results: Results = { ...describeRun(adapter, robustness, ['onnxruntime-node']), rows: [], cold: [] };
  const sizes = buildSizes(REFERENCE, MODEL);
  for (const size of sizes.filter(({ name }) => only.includes(name))) {
    results.rows.push(
      await measureSize({ ...plan, contestants: contestantsAt(size, plan.contestants, adapter) }, size),
    );
  }
  if (only.includes('cold')) {
    for (const cache of shaderCaches(adapter)) results.cold.push(await measureColdStart(plan, sizes[0], cache));
  }
  return results;
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
  { engines, rounds, robustness, kernels, log }: Comparison,
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
      adapter: adapterArgument(adapter),
      robustness,
      kernels,
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
