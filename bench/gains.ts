/** What each rung of the ladder gains for who uses it: the public library on every rung, in turns. */
import { load, type Layer8 } from '../src/index.ts';
import type { AdapterDescription } from '../src/gpu/adapter.ts';
import { largestDifference, TAS_TOLERANCE } from './check.ts';
import type { GainRow } from './kernel-results.ts';
import type { RunOptions } from './kernels.ts';
import { adapterArgument, LAYERS, MODEL, REFERENCE } from './machine.ts';
import { inRounds } from './measure.ts';
import { timing } from './results.ts';
import { buildSizes, operations, type ModelShape, type Size } from './sizes.ts';

const SIZES = ['1x12', '1x128'];
const BERT: ModelShape = { hidden_size: 768, intermediate_size: 3072 };
/** Rounds of one size go on for so long, but there are three at least. */
const SECONDS = 15;
/** A rung that would take longer for one pass, by its rate at the size before, is left out. */
const LONGEST_PASS_SECONDS = 15;
/** A turn repeats the pass for so long and counts the mean. */
const TURN_SECONDS = 0.3;

/**
 * Whole passes of every rung at small sizes. Each result is held against the reference, or against the first rung's.
 * @throws Error where a rung computes wrongly
 */
export async function measureGains(
  adapter: AdapterDescription,
  rungs: readonly string[],
  options: RunOptions,
): Promise<GainRow[]> {
  const models = new Map<string, Layer8>();
  try {
    for (const kernels of rungs) {
      const engine = {
        model: MODEL,
        layers: LAYERS,
        adapter: adapterArgument(adapter),
        robustness: options.robustness,
      };
      models.set(kernels, await load({ ...engine, kernels }));
    }
    const rows: GainRow[] = [];
    let before: { work: number; row: GainRow } | undefined;
    for (const size of buildSizes(REFERENCE, MODEL).filter(({ name }) => SIZES.includes(name))) {
      const work = operations(size.sequences, BERT, LAYERS);
      const running = [...models].filter(([name]) => {
        const last = before?.row.rungs[name];
        const expected = before === undefined ? 0 : last ? (last.median_s * work) / before.work : Infinity;
        if (expected > LONGEST_PASS_SECONDS)
          options.log(`${size.name}: ${name} is left out, a pass would take too long`);
        return expected <= LONGEST_PASS_SECONDS;
      });
      const row = await measureSize(size, running, options);
      rows.push(row);
      before = { work, row };
    }
    return rows;
  } finally {
    for (const model of models.values()) await model[Symbol.asyncDispose]();
  }
}

async function measureSize(
  { name: size, sequences, reference }: Size,
  models: [string, Layer8][],
  { rounds, log }: RunOptions,
): Promise<GainRow> {
  let expected = reference;
  const turn = async (rung: string, model: Layer8): Promise<number> => {
    const start = performance.now();
    let passes = 0;
    let elapsed = 0;
    let tas: number[][] = [];
    while (passes === 0 || elapsed < TURN_SECONDS) {
      tas = (await model.tas(sequences.map((ids) => ({ ids })))).map((sequence) => [...sequence]);
      passes++;
      elapsed = (performance.now() - start) / 1000;
    }
    expected ??= tas;
    const difference = largestDifference(tas, expected);
    if (!(difference <= TAS_TOLERANCE)) throw new Error(`${rung}: TAS differs by ${difference} at ${size}`);
    return elapsed / passes;
  };
  const seconds = new Map<string, number[]>(models.map(([name]) => [name, []]));
  const done = await inRounds(
    rounds,
    async () => {
      for (const [name, model] of models) seconds.get(name)!.push(await turn(name, model));
    },
    SECONDS,
  );
  const rungs = Object.fromEntries([...seconds].map(([name, times]) => [name, timing(times)]));
  for (const [name, { median_s, spread }] of Object.entries(rungs))
    log(`${size}, ${name}: ${median_s} s, slowest / fastest ${spread}`);
  return { size, rounds: done, rungs };
}
