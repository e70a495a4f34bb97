/** `npm run bench -- kernels`: the ladder of kernels on one adapter, operation by operation, then rung by rung end to end. */
import { readTwinWeights } from '../kernels/twins/weights.ts';
import type { Matrix } from '../kernels/twins/operations.ts';
import { pack } from '../src/bert/batch.ts';
import { readConfig, type BertConfig } from '../src/bert/config.ts';
import { forward } from '../src/bert/forward.ts';
import type { BertWeights, LayerWeights } from '../src/bert/operations.ts';
import type { Rung } from '../src/bert/rung.ts';
import { candidates, RUNGS } from '../src/bert/rungs.ts';
import { elementOf, loadWeights, weightDtype } from '../src/bert/weights.ts';
import { openCheckpoint } from '../src/checkpoint/checkpoint.ts';
import type { AdapterDescription } from '../src/gpu/adapter.ts';
import { Gpu } from '../src/gpu/device.ts';
import { Recording } from '../src/gpu/recording.ts';
import type { Tensor } from '../src/gpu/tensor.ts';
import { measureGains } from './gains.ts';
import type { ForwardRow, KernelResults, OperationRow, Rate } from './kernel-results.ts';
import { timedLayer, type Timed, type TimedLayer } from './ladder.ts';
import { adapterArgument, describeRun, LAYERS, MODEL } from './machine.ts';
import { inRounds } from './measure.ts';
import { peakCandidates } from './peak.ts';
import type { Repeated } from './repeated.ts';
import { rounded, timing } from './results.ts';

/** What every measurement of ours takes. */
export interface RunOptions {
  /** Fixed number of rounds, or null for as many as time allows. */
  rounds: number | null;
  /** Whether Dawn keeps its bounds checks. */
  robustness: boolean;
  log: (message: string) => void;
}

/** Tokens of the sequence that operations are timed on. */
const TOKENS = [12, 128, 512];
/** A turn repeats an operation for so long in one submission. */
const TURN_SECONDS = 0.1;
const MOST_REPEATS = 200;
/** Rounds of one number of tokens go on for so long, but there are three at least. */
const SECONDS = 20;
/** A rung whose operations would take longer, by its rates on fewer tokens, is left out. */
const LONGEST_ROUND_SECONDS = 15;

/** A rung with its weights on the GPU. */
interface Loaded {
  rung: Rung;
  weights: BertWeights<Tensor>;
}

/** Measures the peak, every operation on every rung that fits, whole forward passes, and the rungs end to end. */
export async function measureKernels(adapter: AdapterDescription, options: RunOptions): Promise<KernelResults> {
  const results = await measureOperations(adapter, options);
  const gains = await measureGains(adapter, results.rungs, options);
  return { ...results, gains };
}

async function measureOperations(
  adapter: AdapterDescription,
  options: RunOptions,
): Promise<Omit<KernelResults, 'gains'>> {
  const { robustness, log } = options;
  const config = await readConfig(MODEL);
  await using gpu = await Gpu.open({ adapter: adapterArgument(adapter), robustness });
  await using checkpoint = await openCheckpoint(MODEL);
  const element = elementOf(await weightDtype(checkpoint, config));
  const { layers } = await readTwinWeights(checkpoint, { ...config, numHiddenLayers: 1 });
  const [chosen] = candidates('auto', gpu, config, element);

  const loaded: Loaded[] = [];
  const unfit: Record<string, string> = {};
  for (const factory of RUNGS.toReversed()) {
    const reason = factory.unfit(gpu, config, element);
    if (reason !== undefined) {
      unfit[factory.name] = reason;
      continue;
    }
    const rung = await factory.create(gpu, config);
    const depth = factory === chosen ? LAYERS : 1;
    loaded.push({ rung, weights: await loadWeights(gpu, checkpoint, config, depth, rung.placement) });
  }
  const product = loaded.find(({ rung }) => rung.name === chosen.name)!;

  const peak = await measurePeak(gpu, options);
  const operations: OperationRow[] = [];
  const forwards: ForwardRow[] = [];
  let running = loaded;
  for (const [i, tokens] of TOKENS.entries()) {
    const measured = await measureTokens({ gpu, config, rungs: running, product, twin: layers[0], tokens }, options);
    operations.push(...measured.operations);
    forwards.push(measured.forward);
    running = running.filter(({ rung: { name } }) => {
      const expected = (measured.seconds.get(name)! * TOKENS[i + 1]) / tokens;
      if (expected > LONGEST_ROUND_SECONDS)
        log(`${name} is left out from ${TOKENS[i + 1]} tokens on: a round would take ${Math.round(expected)} s`);
      return !(expected > LONGEST_ROUND_SECONDS);
    });
  }
  return {
    ...describeRun(gpu.description, robustness, []),
    rungs: loaded.map(({ rung }) => rung.name),
    unfit,
    peak,
    operations,
    forward: forwards,
  };
}

/** The fastest candidate by its best round. */
async function measurePeak(gpu: Gpu, { rounds, log }: RunOptions): Promise<KernelResults['peak']> {
  const written = await peakCandidates(gpu);
  const repeats: number[] = [];
  for (const { repeated } of written) repeats.push(await repeatsFor(repeated));
  const best = written.map(() => Infinity);
  await inRounds(
    rounds,
    async () => {
      for (const [i, { repeated }] of written.entries())
        best[i] = Math.min(best[i], await repeated.seconds(repeats[i]));
    },
    SECONDS / 4,
  );
  const rates = written.map(({ how, work }, i) => ({ how, gflops: rounded(work / best[i] / 1e9) }));
  for (const { how, gflops } of rates) log(`peak, ${how}: ${gflops} GFLOPS`);
  return rates.reduce((a, b) => (b.gflops > a.gflops ? b : a));
}

/** What is measured on one number of tokens. */
interface Subject {
  gpu: Gpu;
  config: BertConfig;
  rungs: readonly Loaded[];
  /** The rung that runs by default, with the weights of all layers. */
  product: Loaded;
  twin: LayerWeights<Matrix>;
  tokens: number;
}

/** Everything on one number of tokens, in turns. `seconds`: of all operations of a rung. */
async function measureTokens(
  { gpu, config, rungs, product, twin, tokens }: Subject,
  { rounds, log }: RunOptions,
): Promise<{ operations: OperationRow[]; forward: ForwardRow; seconds: Map<string, number> }> {
  const layers: [string, TimedLayer][] = [];
  for (const { rung, weights } of rungs) {
    layers.push([rung.name, await timedLayer(gpu, config, rung, weights, twin, tokens)]);
  }
  const turns = layers.flatMap(([name, { operations }]) =>
    operations.map((timed) => ({ name, timed, repeats: 1, seconds: [] as number[] })),
  );
  for (const turn of turns) turn.repeats = await repeatsFor(turn.timed.repeated);
  const whole: number[] = [];
  await wholeForward(gpu, product, tokens);
  const done = await inRounds(
    rounds,
    async () => {
      for (const { timed, repeats, seconds } of turns) seconds.push(await timed.repeated.seconds(repeats));
      whole.push(await wholeForward(gpu, product, tokens));
    },
    SECONDS,
  );
  for (const [, layer] of layers) layer.free();

  const operations = layers[0][1].operations.map(({ operation, unit }): OperationRow => {
    const own = turns.filter(({ timed }) => timed.operation === operation);
    const rates = own.map(({ name, timed, seconds }): [string, Rate] => [name, rateOf(timed, seconds)]);
    for (const [name, { median, spread }] of rates)
      log(`${tokens} tokens, ${operation}, ${name}: ${median} ${unit}, slowest / fastest ${spread}`);
    return { operation, tokens, unit, rounds: done, rungs: Object.fromEntries(rates) };
  });
  const best = (name: string, of: (timed: Timed) => boolean) =>
    turns.reduce((sum, turn) => sum + (turn.name === name && of(turn.timed) ? Math.min(...turn.seconds) : 0), 0);
  const dense = LAYERS * best(product.rung.name, (timed) => timed.kind === 'dense');
  const products = dense + LAYERS * best(product.rung.name, (timed) => timed.kind === 'attention');
  const { median_s, min_s, spread } = timing(whole);
  return {
    operations,
    forward: {
      tokens,
      rung: product.rung.name,
      best_s: min_s,
      median_s,
      spread,
      dense_s: rounded(dense),
      products_s: rounded(products),
    },
    seconds: new Map(layers.map(([name]) => [name, best(name, () => true)])),
  };
}

function rateOf({ work, maxError }: Timed, seconds: number[]): Rate {
  const { median_s, min_s, spread } = timing(seconds);
  return {
    best: rounded(work / min_s / 1e9),
    median: rounded(work / median_s / 1e9),
    spread,
    max_error: Number(maxError.toPrecision(2)),
  };
}

/** Seconds of the forward pass from token ids to TAS, as the product runs it: written down, submitted, read back. */
async function wholeForward(gpu: Gpu, { rung, weights }: Loaded, tokens: number): Promise<number> {
  const ids = Array.from({ length: tokens }, (_, i) => 1000 + 53 * i);
  const start = performance.now();
  const recording = new Recording(gpu);
  const ops = rung.operations(recording);
  await recording.submit([ops.l2Norm(forward(ops, weights, pack([{ ids }]), LAYERS))]);
  return (performance.now() - start) / 1000;
}

/** As many repeats as fill a turn. */
async function repeatsFor(repeated: Repeated): Promise<number> {
  const once = await repeated.seconds(1);
  return Math.max(1, Math.min(MOST_REPEATS, Math.round(TURN_SECONDS / once)));
}
