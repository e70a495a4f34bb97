/** How engines are checked and timed. Every figure comes from processes that take turns on an otherwise idle machine. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { EngineProcess, type EngineSpec } from './process.ts';
import type { LoadOptions, Sequence } from './protocol.ts';
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

/** float32 in another order moves TAS by 2e-5; a wrong graph moves it by tenths. */
const TAS_TOLERANCE = 1e-3;
/** Without `--rounds`: at least and at most so many, as long as this many seconds are not over. */
const ROUNDS = { least: 3, most: 9, seconds: 30 };
/** A turn repeats the forward pass for so long and counts the mean, or one pass of 10 ms would be mostly noise. */
const TURN_SECONDS = 0.3;

/**
 * Runs every engine once in a process of its own, compares their results, and decides how each peer batches. What is
 * compiled here lies in the driver's cache when the timed processes start, so that their memory is without compilers.
 * @throws Error where an engine does not run or TAS differs by more than 1e-3
 */
async function check(plan: Plan, { name, sequences, reference }: Size) {
  const results: { name: EngineName; tas: number[][] }[] = [];
  const batching = new Map<EngineName, string>();
  const mixed = new Set(sequences.map((ids) => ids.length)).size > 1;
  for (const contestant of plan.contestants) {
    await inProcesses(plan, [contestant], async ([engine]) => {
      const run = async (choice: string) => {
        const reply = await engine.ask({ cmd: 'run', sequences, seconds: 0, batching: choice });
        if (reference) compare(`${contestant.name} and the reference at ${name}`, reply.tas!, reference);
        results.push({ name: contestant.name, tas: reply.tas! });
        return reply.seconds!;
      };
      if (!mixed || contestant.name === 'layer8') await run('');
      else batching.set(contestant.name, await fasterBatching(run));
    });
  }
  const [ours, ...peers] = results;
  const differences = peers.map((peer) => compare(`${peer.name} and ${ours.name} at ${name}`, peer.tas, ours.tas));
  return { batching, difference: Math.max(0, ...differences) };
}

/** Buckets compute less padding. Their first run compiles too, so it is repeated only where that could hide that they are faster. */
async function fasterBatching(run: (batching: string) => Promise<number>): Promise<string> {
  const bucketed = await run('bucketed');
  const padded = await run('padded');
  return bucketed <= padded || (await run('bucketed')) <= padded ? 'bucketed' : 'padded';
}

function compare(which: string, actual: number[][], expected: number[][]): number {
  let worst = 0;
  expected.forEach((sequence, i) => {
    if (actual[i]?.length !== sequence.length)
      throw new Error(`${which}: sequence ${i} has not the same number of tokens`);
    sequence.forEach((value, token) => {
      const difference = Math.abs(value - actual[i][token]);
      worst = difference > worst || Number.isNaN(difference) ? difference : worst;
    });
  });
  if (!(worst <= TAS_TOLERANCE))
    throw new Error(`${which} disagree: TAS differs by ${worst}, more than ${TAS_TOLERANCE}`);
  return worst;
}

/** Checks, then times one size: new processes, one warm-up each, then rounds in which the engines take turns. */
export async function measureSize(plan: Plan, size: Size): Promise<SizeRow> {
  const { sequences } = size;
  const { batching, difference } = await check(plan, size);
  const turn = (engine: EngineProcess, seconds: number) =>
    engine.ask({ cmd: 'run', sequences, seconds, batching: batching.get(engine.name as EngineName) ?? '' });
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
      const choice = batching.get(name);
      measured[name] = {
        ...times,
        gflops: rounded(work / times.median_s / 1e9),
        rss_mb,
        ...(choice ? { batching: choice } : {}),
      };
      plan.log(
        `${size.name} ${name}: ${times.median_s} s in ${rounds} rounds, slowest / fastest ${times.spread}, ${rss_mb} MB`,
      );
    }
    const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
    return { size: size.name, tokens, rounds, max_tas_difference: rounded(difference), engines: measured };
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

/** Times new processes from their start to their first result for `sequence`, the engines taking turns. */
export async function measureColdStart(plan: Plan, sequence: Sequence, cache: ShaderCache): Promise<ColdRow> {
  const seconds = new Map<EngineName, number[]>(plan.contestants.map(({ name }) => [name, []]));
  const start = async (contestant: Contestant): Promise<number> => {
    const folder = cache.folder && join(cache.folder, contestant.name);
    if (folder && cache.emptied) rmSync(folder, { recursive: true, force: true });
    if (folder) mkdirSync(folder, { recursive: true });
    const environment = { ...plan.environment, ...(folder ? { MESA_SHADER_CACHE_DIR: folder } : {}) };
    const began = performance.now();
    const engine = new EngineProcess(contestant, environment);
    try {
      await engine.ask({ cmd: 'load', options: plan.options });
      await engine.ask({ cmd: 'run', sequences: [sequence], seconds: 0, batching: 'padded' });
      const elapsed = (performance.now() - began) / 1000;
      await engine.exit();
      return elapsed;
    } finally {
      engine.kill();
    }
  };
  if (!cache.emptied) for (const contestant of plan.contestants) await start(contestant);
  const rounds = await inRounds(plan.rounds, async () => {
    for (const contestant of plan.contestants) seconds.get(contestant.name)!.push(await start(contestant));
  });
  const engines: ColdRow['engines'] = {};
  for (const [name, times] of seconds) {
    engines[name] = timing(times);
    plan.log(`cold start, shader cache ${cache.name}, ${name}: ${engines[name].median_s} s`);
  }
  return { cache: cache.name, rounds, engines };
}

async function inRounds(fixed: number | null, round: () => Promise<void>): Promise<number> {
  const until = performance.now() + ROUNDS.seconds * 1000;
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
