/** How engines are checked and timed. Every figure comes from processes that take turns on an otherwise idle machine. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkEngine, DEFAULT_VARIANT, largestDifference, TAS_TOLERANCE, type Checked } from './check.ts';
import { EngineProcess, type EngineSpec } from './process.ts';
import type { LoadOptions, Variant } from './protocol.ts';
import { rounded, timing, type ColdRow, type EngineName, type Measurement, type SizeRow } from './results.ts';
import { operations, type ModelShape, type Size } from './sizes.ts';

/** An engine to measure: how its process is started, and by which name its figures go. */
export interface Contestant extends EngineSpec {
  name: EngineName;
}

/** What stays the same over a run. */
export interface Plan {
  contestants: Contestant[];
  options: LoadOptions;
  shape: ModelShape;
  /** What makes an engine's process find the adapter, and Mesa keep its compiled shaders, where this run wants them. */
  environment: Record<string, string>;
  /** Fixed number of rounds, or null for as many as time allows. */
  rounds: number | null;
  log: (message: string) => void;
}

/** Without `--rounds`: at least and at most so many, as long as this many seconds are not over. */
const ROUNDS = { least: 3, most: 9, seconds: 30 };
/** A turn repeats the forward pass for so long and counts the mean, or one pass of 10 ms would be mostly noise. */
const TURN_SECONDS = 0.3;

/**
 * Checks every engine in a process of its own, layer8 first. What is compiled here lies in the driver's cache when the
 * timed processes start, so that their memory is without compilers.
 */
async function checkAll(plan: Plan, size: Size): Promise<Map<string, Checked>> {
  const checked = new Map<string, Checked>();
  let ours: number[][] | null = null;
  for (const contestant of plan.contestants) {
    await inProcesses(plan, [contestant], async ([engine]) => {
      const result = await checkEngine(engine, size, ours);
      checked.set(contestant.name, result);
      ours ??= result.tas;
      if (result.note) plan.log(`${size.name} ${contestant.name}: ${result.note}`);
    });
  }
  return checked;
}

/** Checks, then times one size: new processes, one warm-up each, then rounds in which the engines take turns. */
export async function measureSize(plan: Plan, size: Size): Promise<SizeRow> {
  const { sequences } = size;
  const checked = await checkAll(plan, size);
  const turn = (engine: EngineProcess, seconds: number) =>
    engine.ask({ cmd: 'run', sequences, seconds, variant: checked.get(engine.name)!.variant });
  return inProcesses(plan, plan.contestants, async (engines) => {
    for (const engine of engines) await turn(engine, 0);
    const seconds = new Map<string, number[]>(engines.map(({ name }) => [name, []]));
    const rounds = await inRounds(plan.rounds, async () => {
      for (const engine of engines) seconds.get(engine.name)!.push((await turn(engine, TURN_SECONDS)).seconds!);
    });
    const work = operations(sequences, plan.shape, plan.options.layers);
    const measured: Partial<Record<EngineName, Measurement>> = {};
    for (const engine of engines) {
      const name = engine.name as EngineName;
      const times = timing(seconds.get(name)!);
      const { rss_mb } = await engine.ask({ cmd: 'memory' });
      const { note } = checked.get(name)!;
      measured[name] = {
        ...times,
        gflops: rounded(work / times.median_s / 1e9),
        rss_mb,
        ...(note ? { note } : {}),
      };
      plan.log(
        `${size.name} ${name}: ${times.median_s} s in ${rounds} rounds, slowest / fastest ${times.spread}, ${rss_mb} MB`,
      );
    }
    const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
    return {
      size: size.name,
      tokens,
      rounds,
      max_tas_difference: rounded(Math.max(...[...checked.values()].map(({ difference }) => difference))),
      engines: measured,
    };
  });
}

/** A state in which the driver's cache of compiled shaders may be when a process starts. */
export interface ShaderCache {
  name: string;
  /** Folder that Mesa keeps it in, or null where the driver keeps none. */
  folder: string | null;
  /** Whether it is emptied before each start. */
  emptied: boolean;
}

/** Times new processes from their start to their first result for the sequence of `size`, the engines taking turns. */
export async function measureColdStart(plan: Plan, size: Size, cache: ShaderCache): Promise<ColdRow> {
  const start = async (contestant: Contestant, variant: Variant): Promise<number> => {
    const folder = cache.folder && join(cache.folder, contestant.name);
    if (folder && cache.emptied) rmSync(folder, { recursive: true, force: true });
    if (folder) mkdirSync(folder, { recursive: true });
    const environment = { ...plan.environment, ...(folder ? { MESA_SHADER_CACHE_DIR: folder } : {}) };
    const began = performance.now();
    const engine = new EngineProcess(contestant, environment);
    try {
      await engine.ask({ cmd: 'load', options: plan.options });
      const { tas } = await engine.ask({ cmd: 'run', sequences: size.sequences, seconds: 0, variant });
      const elapsed = (performance.now() - began) / 1000;
      await engine.exit();
      const right = size.reference === null || largestDifference(tas!, size.reference) <= TAS_TOLERANCE;
      return right ? elapsed : Infinity;
    } finally {
      engine.kill();
    }
  };
  // Once before, to fill the caches, and to see which of its kernels give the peer the faster start.
  const variants = new Map<EngineName, Variant>();
  for (const contestant of plan.contestants) {
    const without = { ...DEFAULT_VARIANT, flash: false };
    if (!cache.emptied) await start(contestant, DEFAULT_VARIANT);
    if (contestant.name !== 'onnxruntime-webgpu') variants.set(contestant.name, DEFAULT_VARIANT);
    else {
      if (!cache.emptied) await start(contestant, without);
      const faster = (await start(contestant, without)) < (await start(contestant, DEFAULT_VARIANT));
      variants.set(contestant.name, faster ? without : DEFAULT_VARIANT);
    }
  }
  const seconds = new Map<EngineName, number[]>(plan.contestants.map(({ name }) => [name, []]));
  const rounds = await inRounds(plan.rounds, async () => {
    for (const contestant of plan.contestants) {
      const elapsed = await start(contestant, variants.get(contestant.name)!);
      if (elapsed === Infinity) throw new Error(`${contestant.name} computes wrongly after a cold start`);
      seconds.get(contestant.name)!.push(elapsed);
    }
  });
  const engines: ColdRow['engines'] = {};
  for (const [name, times] of seconds) {
    engines[name] = timing(times);
    plan.log(`cold start, shader cache ${cache.name}, ${name}: ${engines[name].median_s} s`);
  }
  return { cache: cache.name, rounds, engines };
}

/**
 * Calls `round` as often as `fixed` says, or as time allows.
 * @returns how often
 */
export async function inRounds(
  fixed: number | null,
  round: () => Promise<void>,
  seconds: number = ROUNDS.seconds,
): Promise<number> {
  const until = performance.now() + seconds * 1000;
  let done = 0;
  while (fixed === null ? done < ROUNDS.least || (done < ROUNDS.most && performance.now() < until) : done < fixed) {
    await round();
    done++;
  }
  return done;
}

/** Starts and loads engines, and ends their processes whatever happens. */
async function inProcesses<T>(
  plan: Plan,
  contestants: Contestant[],
  use: (engines: EngineProcess[]) => Promise<T>,
): Promise<T> {
  const engines: EngineProcess[] = [];
  try {
    for (const contestant of contestants) {
      const engine = new EngineProcess(contestant, plan.environment);
      engines.push(engine);
      await engine.ask({ cmd: 'load', options: plan.options });
    }
    const result = await use(engines);
    for (const engine of engines) await engine.exit();
    return result;
  } finally {
    for (const engine of engines) engine.kill();
  }
}
