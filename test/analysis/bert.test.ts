import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { analyzeStream } from '../../src/analysis/analyze.ts';
import { decideTogether } from '../../src/analysis/corpus.ts';
import { loadItemSources, recordItems } from '../../src/analysis/items.ts';
import type { Decided } from '../../src/analysis/items.ts';
import { prepare } from '../../src/analysis/prepare.ts';
import { DEFAULT_OPTIONS, INTERPOLATIONS } from '../../src/analysis/result.ts';
import type { AnalysisOptions, Interpolation, SequenceResult } from '../../src/analysis/result.ts';
import { isBorderline } from '../../src/analysis/select.ts';
import type { Summary } from '../../src/analysis/select.ts';
import { BertModel } from '../../src/bert/model.ts';
import { Recording } from '../../src/gpu/recording.ts';
import { loadTokenizer } from '../../src/text/load.ts';
import type { Tokenizer } from '../../src/text/tokenizer.ts';
import { readReference } from '../../src/verify/reference.ts';
import { allclose } from '../allclose.ts';
import { ADAPTER, BERT, REFERENCE } from '../support.ts';
import { recorded } from './support.ts';

/** Of expected.json: transformers and NumPy, in float64. */
interface Case {
  readonly text: string;
  readonly pair?: string;
  readonly tokens: readonly string[];
  readonly offsets_codepoints: readonly (readonly [start: number, end: number])[];
  readonly special: readonly boolean[];
  readonly tas: readonly number[];
  readonly threshold: Record<'excluded' | 'included', Record<Interpolation, number> | null>;
  readonly high_excluded_linear: readonly boolean[];
}

const FOLDER = join(REFERENCE, 'bert-base-uncased');
const CASES = Object.entries(
  JSON.parse(await readFile(join(FOLDER, 'expected.json'), 'utf8')) as Record<string, Case>,
).map(([name, one]): [string, Case] => {
  if (name !== 'full-512') return [name, one];
  // Its text goes on after the 512 tokens that were recorded.
  const end = Math.max(...one.offsets_codepoints.map((offset) => offset[1]));
  return [name, { ...one, text: Array.from(one.text).slice(0, end).join('') }];
});
/** What correct adapters differ by. */
const CLOSE = { rtol: 5e-7, atol: 5e-6 };
const H = 768;

let model: BertModel;
let tokenizer: Tokenizer;
/** The thirteen texts at layer 8, with flow and shifts. */
let results: SequenceResult[];
beforeAll(async () => {
  model = await BertModel.open(BERT, { adapter: ADAPTER });
  tokenizer = await loadTokenizer(BERT);
  results = await analyze(
    CASES.map(([id, { text, pair }]) => ({ id, text, ...(pair === undefined ? {} : { pair }) })),
    { flow: true, shift: true },
  );
}, 300_000);
afterAll(() => model[Symbol.asyncDispose]());

async function analyze(
  inputs: readonly { id?: string; text: string }[],
  options: Partial<AnalysisOptions>,
): Promise<SequenceResult[]> {
  const sequences: SequenceResult[] = [];
  for await (const one of analyzeStream(model, tokenizer, inputs, { ...DEFAULT_OPTIONS, ...options }))
    sequences.push(one);
  return sequences;
}

test('TAS, θ and buckets of the reference texts with default options', () => {
  for (const [index, [name, expected]] of CASES.entries()) {
    const { tokens, threshold, ranked, high } = results[index] as SequenceResult;
    expect(tokens.map(({ token }) => token)).toEqual(expected.tokens);
    allclose(
      tokens.map(({ tas }) => tas),
      expected.tas,
      CLOSE,
      name,
    );
    const isHigh = tokens.map(({ bucket }) => bucket === 'HIGH');
    for (const [t, { borderline }] of tokens.entries())
      if (!borderline) expect(isHigh[t], `${name}, token ${t}`).toBe(expected.high_excluded_linear[t]);
    expect(tokens.map(({ bucket }) => bucket === null)).toEqual(expected.special);
    expect(ranked).toBe(expected.special.filter((special) => !special).length);
    expect(high).toBe(isHigh.filter(Boolean).length);
    if (expected.threshold.excluded === null) expect(threshold).toBeNull();
    else allclose([threshold as number], [expected.threshold.excluded.linear], CLOSE, `θ of ${name}`);
  }
});

describe.each(['exclude', 'include'] as const)('specials %s', (specials) => {
  test.each(INTERPOLATIONS)('θ and buckets by %s are NumPy’s', async (interpolation) => {
    const options: AnalysisOptions = { ...DEFAULT_OPTIONS, specials, interpolation };
    const inputs = CASES.map(([, input], index) => prepare(tokenizer, input, index, model.config, options));
    const tas = results.map(({ tokens }) => Float32Array.from(tokens, (token) => token.tas));
    const norms = Float32Array.from(tas.flatMap((own) => [...own]));
    const sources = await loadItemSources(options);
    const decided = await model.run(async ({ gpu }) => {
      const recording = new Recording(gpu);
      const uploaded = recording.upload('norms', [norms.length], norms);
      const apart = { select: true, together: false };
      const recordedItems = recordItems({ gpu }, sources, recording, uploaded, inputs, options, apart);
      return recordedItems.decode(norms, await recording.submit(recordedItems.reads));
    });
    for (const [index, [name, expected]] of CASES.entries()) {
      const { buckets, values, summary } = decided[index] as Decided;
      const theta = expected.threshold[`${specials}d`]?.[interpolation];
      if (theta === undefined) {
        expect(summary?.threshold).toBeNull();
        continue;
      }
      allclose([summary?.threshold as number], [theta], CLOSE, `θ of ${name}`);
      const ranked = expected.tas.filter((_, t) => specials === 'include' || !expected.special[t]);
      for (const [item, value] of ranked.entries()) {
        if (isBorderline(values[item] as number, summary as Summary, false)) continue;
        // NumPy's θ is rounded in float64: an order statistic that it should be may miss it in the last digit.
        expect(buckets?.[item], `${name}, item ${item}`).toBe(value >= theta - 1e-12 ? 2 : 1);
      }
    }
  });

  test('one θ over the corpus is NumPy’s over the concatenation', async () => {
    const { thresholds } = await recorded<{
      thresholds: Record<string, Record<Interpolation, number> & { readonly ranked: number }>;
    }>('corpus');
    for (const interpolation of INTERPOLATIONS) {
      const options: AnalysisOptions = { ...DEFAULT_OPTIONS, specials, interpolation, scope: 'corpus' };
      const collected = CASES.map(([, input], index) => ({
        tas: Float32Array.from((results[index] as SequenceResult).tokens, ({ tas }) => tas),
        items: prepare(tokenizer, input, index, model.config, options).items,
      }));
      const decided = await decideTogether(model, collected, options);
      const theta = thresholds[specials]?.[interpolation] as number;
      expect(decided[0]?.summary?.ranked).toBe(thresholds[specials]?.ranked);
      allclose([decided[0]?.summary?.threshold as number], [theta], CLOSE, interpolation);
      for (const { summary } of decided) expect(summary).toEqual(decided[0]?.summary);
    }
  });
});

describe('fox, layer by layer', async () => {
  const [set] = await readReference(FOLDER);
  const fox = set?.cases.find(({ name }) => name === 'fox');
  const states = Array.from({ length: 9 }, (_, l) => fox?.stages.get(`hidden_states.${l}`) as Float32Array);
  const T = (states[0] as Float32Array).length / H;
  const row = (layer: number, t: number): Float64Array =>
    Float64Array.from((states[layer] as Float32Array).subarray(t * H, (t + 1) * H));
  const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * (b[i] as number), 0);
  const minus = (a: Float64Array, b: Float64Array): Float64Array => a.map((x, i) => x - (b[i] as number));
  const norm = (a: Float64Array): number => Math.sqrt(dot(a, a));

  test('the flow is the norm of every layer’s states', () => {
    const { tokens } = results[0] as SequenceResult;
    expect(tokens).toHaveLength(T);
    for (const [t, { flow, tas }] of tokens.entries()) {
      expect(flow).toHaveLength(9);
      allclose(
        flow as Float32Array,
        states.map((_, layer) => norm(row(layer, t))),
        CLOSE,
        `token ${t}`,
      );
      expect(flow?.[8]).toBe(tas);
    }
  });

  test.each([8, 3, 1, 0])('the four shifts at layer %d', async (layer) => {
    const { tokens } = layer === 8 ? (results[0] as SequenceResult) : await foxAt(layer);
    for (const [t, { shift }] of tokens.entries()) {
      const [now, first] = [row(layer, t), row(0, t)];
      const before = layer === 0 ? undefined : row(layer - 1, t);
      // A state's components are within about 1e-5 of the reference's.
      allclose([shift?.fromInput as number], [norm(minus(now, first))], { rtol: 1e-6, atol: 1e-5 }, `token ${t}`);
      if (!before) {
        expect(shift).toEqual({ displacement: null, normChange: null, rotation: null, fromInput: 0 });
        continue;
      }
      const expected = [
        norm(minus(now, before)),
        norm(now) - norm(before),
        1 - dot(now, before) / norm(now) / norm(before),
      ];
      const actual = [shift?.displacement, shift?.normChange, shift?.rotation] as number[];
      allclose(actual, expected, { rtol: 1e-6, atol: 1e-5 }, `displacement, norm change, rotation of token ${t}`);
    }
  });

  async function foxAt(layer: number): Promise<SequenceResult> {
    const [only] = await analyze([{ text: CASES[0]?.[1].text ?? '' }], { layer, shift: true });
    return only as SequenceResult;
  }
});

test('3,000 tokens in windows of 512 that share 128, as by hand in transformers', { timeout: 300_000 }, async () => {
  const { bert } = await recorded<{ bert: { layer: number; stride: number; text: string; tas: number[] } }>('windows');
  const [only] = await analyze([{ text: bert.text }], { layer: bert.layer, stride: bert.stride });
  expect(only?.windows).toHaveLength(8);
  allclose(only?.tokens.map(({ tas }) => tas) ?? [], bert.tas, CLOSE, 'TAS');
});
