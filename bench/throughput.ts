/** `npm run bench -- throughput`: whether ten times the text takes ten times as long, and no more. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AdapterDescription } from '../src/gpu/adapter.ts';
import { load, type Layer8 } from '../src/index.ts';
import { splitSentences } from '../src/text/sentences.ts';
import type { ThroughputResults } from './kernel-results.ts';
import type { RunOptions } from './kernels.ts';
import { adapterArgument, describeRun, LAYERS, MODEL, REFERENCE } from './machine.ts';
import { rounded, timing } from './results.ts';

/** Sentences of the short text. */
const SENTENCES = 60;
const TIMES = 10;
const PAIRS = 5;

/** Analyzes both texts in turns, sentence by sentence as a stream, through the public library. */
export async function measureThroughput(
  adapter: AdapterDescription,
  { rounds, robustness, log }: RunOptions,
): Promise<ThroughputResults> {
  const short = await sentences();
  const long = Array.from({ length: TIMES }, () => short).flat();
  await using model = await load({ model: MODEL, layers: LAYERS, adapter: adapterArgument(adapter), robustness });
  await analyze(model, short);
  const rates = { short: [] as number[], long: [] as number[] };
  const tokens = { short: 0, long: 0 };
  const pairs = rounds ?? PAIRS;
  for (let i = 0; i < pairs; i++) {
    for (const [which, texts] of [
      ['short', short],
      ['long', long],
    ] as const) {
      const run = await analyze(model, texts);
      tokens[which] = run.tokens;
      rates[which].push(run.tokens / run.seconds);
      log(`${which}: ${run.tokens} tokens, ${Math.round(run.tokens / run.seconds)} a second`);
    }
  }
  const median = (values: number[]) => timing(values).median_s;
  return {
    ...describeRun(adapter, robustness, []),
    rung: model.adapter.kernels,
    rounds: pairs,
    short: { tokens: tokens.short, tokens_per_s: median(rates.short) },
    long: { tokens: tokens.long, tokens_per_s: median(rates.long) },
    ratio: rounded(median(rates.long.map((rate, i) => rate / rates.short[i]))),
  };
}

async function analyze(model: Layer8, texts: readonly string[]): Promise<{ tokens: number; seconds: number }> {
  const start = performance.now();
  let tokens = 0;
  for await (const { tokens: own } of model.analyzeStream(texts.map((text) => ({ text })))) tokens += own.length;
  return { tokens, seconds: (performance.now() - start) / 1000 };
}

/** The reference texts' sentences, from the start again where there are too few. */
async function sentences(): Promise<string[]> {
  const cases: Record<string, { text: string }> = JSON.parse(readFileSync(join(REFERENCE, 'expected.json'), 'utf8'));
  const all: string[] = [];
  for (const { text } of Object.values(cases)) for await (const sentence of splitSentences([text])) all.push(sentence);
  return Array.from({ length: SENTENCES }, (_, i) => all[i % all.length]);
}
