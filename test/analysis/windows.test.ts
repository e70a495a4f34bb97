import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadMeasureSources, measure } from '../../src/analysis/measure.ts';
import { partsOf, prepare } from '../../src/analysis/prepare.ts';
import { BertModel } from '../../src/bert/model.ts';
import { DEFAULT_OPTIONS } from '../../src/index.ts';
import type { AnalysisOptions, Layer8, SequenceResult } from '../../src/index.ts';
import { loadTokenizer } from '../../src/text/load.ts';
import { allclose } from '../allclose.ts';
import { ADAPTER } from '../support.ts';
import { writeModel } from './made-model.ts';
import type { MadeConfig, MadeModel } from './made-model.ts';
import { loadHere, recorded, temporaryFolder } from './support.ts';

interface Recorded {
  readonly config: MadeConfig;
  readonly layer: number;
  readonly stride: number;
  readonly text: string;
  readonly ids: readonly number[];
  /** The window that reports each content token. */
  readonly owners: readonly number[];
  readonly tas: readonly number[];
}

const { made } = await recorded<{ made: Recorded }>('windows');
const { vocabulary } = await recorded<{ vocabulary: string[] }>('models');
const model: MadeModel = {
  dtype: 'F32',
  prefix: '',
  gamma: false,
  cased: false,
  layer: made.layer,
  config: made.config,
};

let folder: string;
let layer8: Layer8;
beforeAll(async () => {
  folder = await writeModel(join(await temporaryFolder(), 'windowed'), model, vocabulary);
  layer8 = await loadHere({ model: folder, layers: made.layer });
});

const WHOLE: Partial<AnalysisOptions> = { stride: made.stride, flow: true, shift: true };

describe('a text of 3,000 tokens through a model of 64 positions', () => {
  test('every token once, with its TAS from the window in which it is farthest from an edge', async () => {
    const { sequences } = await layer8.analyze(made.text, { stride: made.stride });
    const [{ tokens, windows, ranked, threshold, high }] = sequences as [(typeof sequences)[0]];
    expect(tokens.map(({ id }) => id)).toEqual(made.ids);
    const owners = [0, ...made.owners, made.owners.at(-1)];
    expect(tokens.map(({ window }) => window)).toEqual(owners);
    allclose(
      tokens.map(({ tas }) => tas),
      made.tas,
      { rtol: 5e-7, atol: 5e-6 },
      'TAS',
    );
    expect(windows?.[0]).toEqual({ start: 0, end: 63 });
    expect(windows?.[1]?.start).toBe(63 - made.stride);
    expect(windows?.at(-1)?.end).toBe(made.ids.length);

    // One θ over all of its tokens.
    const content = tokens.filter(({ special }) => !special).map(({ tas }) => tas);
    const sorted = Float32Array.from(content).sort();
    const at = 0.75 * (sorted.length - 1);
    const [a, b] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
    expect(ranked).toBe(made.ids.length - 2);
    expect(Math.abs((threshold as number) - (a + (b - a) * (at % 1)))).toBeLessThan(1e-6);
    expect(high).toBe(content.filter((tas) => tas >= b).length);
    expect(tokens.filter(({ bucket }) => bucket === 'HIGH').every(({ tas }) => tas >= b)).toBe(true);
  });

  test('in several submissions as in one, bit for bit', async () => {
    await using bert = await BertModel.open(folder, { layers: made.layer, adapter: ADAPTER });
    const options: AnalysisOptions = { ...DEFAULT_OPTIONS, ...WHOLE, layer: made.layer };
    const input = prepare(await loadTokenizer(folder), { text: made.text }, 0, bert.config, options);
    expect([...partsOf(input, 1024)].length).toBeGreaterThan(2);
    const sources = await loadMeasureSources(options);
    const request = { options, select: false, states: true };
    const [whole] = await bert.run((session) => measure(session, sources, [input], request));

    let states: Float32Array | undefined;
    const saveHiddenStates = (_id: string, _layer: number, all: Float32Array): void => void (states = all);
    const stream = layer8.analyzeStream([{ text: made.text }], { ...WHOLE, saveHiddenStates });
    const { tokens } = (await stream.next()).value as SequenceResult;
    expect((await stream.next()).done).toBe(true);

    expect(Float32Array.from(tokens, ({ tas }) => tas)).toEqual(whole?.tas);
    expect(states).toEqual(whole?.states);
    for (let layer = 0; layer <= made.layer; layer++) {
      const of = whole?.flow?.subarray(layer * tokens.length, (layer + 1) * tokens.length);
      expect(Float32Array.from(tokens, ({ flow }) => flow?.[layer] as number)).toEqual(of);
    }
    const shifts = tokens.flatMap(({ shift }) => [
      shift?.displacement as number,
      shift?.normChange as number,
      shift?.rotation as number,
      shift?.fromInput as number,
    ]);
    expect(Float32Array.from(shifts)).toEqual(whole?.shift);
  });

  test('words take their pieces from two windows where they lie in two', async () => {
    const text = Array.from({ length: 120 }, (_, i) => (i % 3 === 0 ? 'unable' : 'jumps')).join(' ');
    const plain = await layer8.analyze(text, { stride: 3 });
    const { sequences } = await layer8.analyze(text, { stride: 3, unit: 'word', wordReduce: 'mean' });
    const tokens = plain.sequences[0]?.tokens ?? [];
    const words = sequences[0]?.words ?? [];
    expect(words.map((word) => word.text).join(' ')).toBe(text);
    const windowsOf = words.map((word) => new Set(word.tokens.map((t) => tokens[t]?.window)).size);
    expect(Math.max(...windowsOf)).toBe(2);
    for (const word of words) {
      const mean = word.tokens.reduce((sum, t) => sum + (tokens[t]?.tas as number), 0) / word.tokens.length;
      expect(Math.abs(word.tas - mean)).toBeLessThan(2e-6);
    }
  });
});

test('a long text among short ones changes none of them', async () => {
  const short = ['a fox', 'the river bank', 'quick'];
  const long = made.text.slice(0, 400);
  const mixed = await layer8.analyze([short[0]!, long, short[1]!, short[2]!], { stride: made.stride });
  const alone = await layer8.analyze([...short], { stride: made.stride });
  expect(mixed.sequences.map(({ text }) => text)).toEqual([short[0], long, short[1], short[2]]);
  const of = (result: typeof mixed, text: string | undefined): unknown => {
    const { id: _, ...rest } = result.sequences.find((sequence) => sequence.text === text)!;
    return rest;
  };
  for (const text of short) expect(of(mixed, text)).toEqual(of(alone, text));
  const { sequences } = await layer8.analyze(long, { stride: made.stride });
  expect({ ...mixed.sequences[1], id: '0' }).toEqual(sequences[0]);
});
