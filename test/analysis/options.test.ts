import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { quantileCut } from '../../src/analysis/quantile.ts';
import { BertModel } from '../../src/bert/model.ts';
import { fileFolder } from '../../src/checkpoint/file.ts';
import { CountingSource } from '../../src/checkpoint/source.ts';
import type { ModelFolder } from '../../src/checkpoint/source.ts';
import { InputError, ModelError, UsageError } from '../../src/errors.ts';
import type { AnalysisOptions, Input, Layer8, SequenceResult } from '../../src/index.ts';
import { expectFailure } from '../checkpoint/support.ts';
import { ADAPTER } from '../support.ts';
import { shardName, writeModel, writeShardedModel } from './made-model.ts';
import type { MadeModel } from './made-model.ts';
import { loadHere, recorded, temporaryFolder } from './support.ts';

const { vocabulary, models } = await recorded<{ vocabulary: string[]; models: (MadeModel & { name: string })[] }>(
  'models',
);
const model = models.find(({ name }) => name === 'bare-f64') as MadeModel;

const INPUTS: Input[] = [
  { id: 'a', text: 'The quick brown fox jumps over the lazy dog.' },
  { id: 'b', text: '' },
  { id: 'c', text: 'unable cafe', pair: 'unable rivers' },
  { id: 'd', text: 'fox' },
];

let layer8: Layer8;
beforeAll(async () => {
  layer8 = await loadHere({
    model: await writeModel(join(await temporaryFolder(), 'small'), model, vocabulary),
    layers: model.layer,
  });
});

async function analyzed(options: Partial<AnalysisOptions>, inputs = INPUTS): Promise<SequenceResult[]> {
  return (await layer8.analyze(inputs, options)).sequences;
}

const rankedTas = (sequences: readonly SequenceResult[], specials = false): number[] =>
  sequences.flatMap(({ tokens }) => tokens.filter((token) => specials || !token.special).map(({ tas }) => tas));

/** θ of float32 values by the linear method. */
function thetaOf(values: readonly number[], quantile: number): number {
  const sorted = Float32Array.from(values).sort();
  const { lo, g } = quantileCut('linear', sorted.length, quantile);
  const [a, b] = [sorted[lo] as number, sorted[Math.min(lo + 1, sorted.length - 1)] as number];
  return a + (b - a) * g;
}

describe('scope', () => {
  test('corpus: one θ over all texts, from an array, a stream that can be read once, or a function', async () => {
    const fromArray = await analyzed({ scope: 'corpus' });
    const theta = thetaOf(rankedTas(fromArray), 0.75);
    for (const { id, threshold, tokens } of fromArray) {
      if (id === 'b') expect(threshold).toBeNull();
      else expect(threshold).toBeCloseTo(theta, 5);
      for (const { tas, bucket, special } of tokens)
        expect(bucket).toBe(special ? null : tas >= theta - 1e-6 ? 'HIGH' : 'LOW');
    }
    async function* stream(): AsyncGenerator<Input> {
      yield* INPUTS;
    }
    for (const inputs of [stream(), stream, new Set(INPUTS)]) {
      const sequences: SequenceResult[] = [];
      for await (const one of layer8.analyzeStream(inputs, { scope: 'corpus' })) sequences.push(one);
      expect(sequences).toEqual(fromArray);
    }
    const apart = await analyzed({});
    expect(rankedTas(apart)).toEqual(rankedTas(fromArray));
    expect(apart.map(({ threshold }) => threshold)).not.toEqual(fromArray.map(({ threshold }) => threshold));
  });

  test('corpus of words, with flow and shifts', async () => {
    const together = await analyzed({ scope: 'corpus', unit: 'word', flow: true, shift: true, wordReduce: 'max' });
    const apart = await analyzed({ unit: 'word', flow: true, shift: true, wordReduce: 'max' });
    const bare = (sequences: SequenceResult[]): unknown =>
      sequences.map(({ tokens, words }) => [tokens, words?.map(({ tas, text }) => [tas, text])]);
    expect(bare(together)).toEqual(bare(apart));
    const words = together.flatMap((sequence) => sequence.words ?? []);
    const theta = thetaOf(
      words.map(({ tas }) => tas),
      0.75,
    );
    for (const { tas, bucket } of words) expect(bucket).toBe(tas >= theta - 1e-6 ? 'HIGH' : 'LOW');
  });

  test('a corpus of nothing, and one without a word', async () => {
    expect(await analyzed({ scope: 'corpus' }, [])).toEqual([]);
    const [empty] = await analyzed({ scope: 'corpus' }, [{ text: '' }]);
    expect(empty).toMatchObject({ threshold: null, order: { below: null, cut: null }, ranked: 0, high: 0 });
  });
});

describe('specials, boundary and quantile', () => {
  test('included, [CLS] and [SEP] are ranked and bucketed as any token', async () => {
    for (const { id, tokens, threshold, ranked } of await analyzed({ specials: 'include' })) {
      expect(ranked).toBe(tokens.length);
      const theta = thetaOf(
        tokens.map(({ tas }) => tas),
        0.75,
      );
      expect(threshold, id).toBeCloseTo(theta, 5);
      for (const { tas, bucket } of tokens) expect(bucket).toBe(tas >= theta - 1e-6 ? 'HIGH' : 'LOW');
    }
  });

  test('quantile 0 makes every token HIGH, quantile 1 the greatest; exclusive all but the least, and none', async () => {
    const [all] = await analyzed({ quantile: 0 });
    const [greatest] = await analyzed({ quantile: 1 });
    const [butLeast] = await analyzed({ quantile: 0, boundary: 'exclusive' });
    const [none] = await analyzed({ quantile: 1, boundary: 'exclusive' });
    const tas = rankedTas([all as SequenceResult]);
    expect(all).toMatchObject({ high: tas.length, threshold: Math.min(...tas), order: { below: null } });
    expect(greatest).toMatchObject({ high: 1, threshold: Math.max(...tas) });
    expect(butLeast).toMatchObject({ high: tas.length - 1, order: { below: Math.min(...tas) } });
    expect(none).toMatchObject({ high: 0, order: { below: Math.max(...tas), cut: null } });
  });

  test('one ranked token is its own θ; an empty text has none', async () => {
    const [, empty, , one] = await analyzed({});
    expect(empty).toMatchObject({ threshold: null, order: { below: null, cut: null }, ranked: 0, high: 0 });
    expect(empty?.tokens.map(({ token, bucket }) => [token, bucket])).toEqual([
      ['[CLS]', null],
      ['[SEP]', null],
    ]);
    const tas = one?.tokens[1]?.tas as number;
    expect(one).toMatchObject({ threshold: tas, order: { below: null, cut: tas }, ranked: 1, high: 1 });
  });

  test('a θ given as a number is reported as it was given, and the order statistics are the values beside it', async () => {
    const [text] = await analyzed({});
    const sorted = rankedTas([text as SequenceResult]).sort((a, b) => a - b);
    const threshold = ((sorted[3] as number) + (sorted[4] as number)) / 2;
    const [given, empty] = await analyzed({ threshold });
    expect(given).toMatchObject({ threshold, order: { below: sorted[3], cut: sorted[4] }, high: sorted.length - 4 });
    expect(empty).toMatchObject({ threshold: null, ranked: 0 });
  });
});

describe('words', () => {
  test.each(['max', 'mean', 'first'] as const)('%s of the pieces', async (wordReduce) => {
    const tokensOf = new Map((await analyzed({})).map(({ id, tokens }) => [id, tokens]));
    for (const { id, words, tokens, ranked, high } of await analyzed({ unit: 'word', wordReduce })) {
      expect(tokens.every(({ bucket }) => bucket === null)).toBe(true);
      expect(words).toHaveLength(ranked);
      expect(words?.filter(({ bucket }) => bucket === 'HIGH')).toHaveLength(high);
      const tas = (words ?? []).map(({ tokens: pieces }) => {
        const values = pieces.map((t) => tokensOf.get(id)?.[t]?.tas as number);
        if (wordReduce === 'max') return Math.max(...values);
        return wordReduce === 'first' ? (values[0] as number) : values.reduce((sum, x) => sum + x, 0) / values.length;
      });
      const theta = tas.length > 0 ? thetaOf(tas, 0.75) : 0;
      for (const [w, word] of (words ?? []).entries()) {
        expect(Math.abs(word.tas - (tas[w] as number))).toBeLessThan(wordReduce === 'mean' ? 1e-6 : 1e-12);
        expect(word.bucket).toBe((tas[w] as number) >= theta - 1e-6 ? 'HIGH' : 'LOW');
      }
    }
  });

  test('of a pair: numbered from 0 in each text, with the surface of their own', async () => {
    const pair = (await analyzed({ unit: 'word' })).find(({ id }) => id === 'c');
    expect(pair?.words?.map(({ word, text }) => [word, text])).toEqual([
      [0, 'unable'],
      [1, 'cafe'],
      [0, 'unable'],
      [1, 'rivers'],
    ]);
    expect(pair?.words?.map(({ tokens }) => tokens)).toEqual([[1, 2], [3], [5, 6], [7, 8]]);
    expect(pair?.tokens.map(({ segment }) => segment)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
  });

  test('special tokens that are included are words of their own', async () => {
    const [, empty] = await analyzed({ unit: 'word', specials: 'include' });
    expect(empty?.words?.map(({ word, text, tokens }) => ({ word, text, tokens }))).toEqual([
      { word: null, text: '[CLS]', tokens: [0] },
      { word: null, text: '[SEP]', tokens: [1] },
    ]);
  });
});

describe('layer', () => {
  const deep: MadeModel = { ...model, dtype: 'F32', layer: 5, config: { ...model.config, num_hidden_layers: 5 } };
  let folder: string;
  beforeAll(async () => {
    folder = await writeShardedModel(join(await temporaryFolder(), 'sharded'), deep, vocabulary);
  });

  test.each([0, 1, 2, 3, 4, 5])('halting at %d reads no weight of a later layer', async (layers) => {
    const onDisk = await fileFolder(folder);
    const sources = new Map<string, CountingSource>();
    const counted: ModelFolder = {
      name: onDisk.name,
      async open(name) {
        const source = await onDisk.open(name);
        if (source === undefined) return undefined;
        const counting = sources.get(name) ?? new CountingSource(source);
        sources.set(name, counting);
        return counting;
      },
    };
    await using opened = await BertModel.open(counted, { adapter: ADAPTER, layers });
    expect(opened.layers).toBe(layers);
    for (let shard = 0; shard <= deep.layer; shard++) {
      const bytes = sources.get(shardName(shard))?.bytesRead ?? 0;
      const file = await readFile(join(folder, shardName(shard)));
      const header = 8 + Number(file.readBigUInt64LE());
      // Halting at 0 looks up what the first layer's weights are stored as, without reading one. The first bytes are read twice.
      if (shard > layers) expect(bytes, `shard ${shard}`).toBeLessThanOrEqual(shard === 1 ? header + 16 : 0);
      else expect(bytes, `shard ${shard}`).toBeGreaterThanOrEqual(file.length);
    }
  });

  test('any layer that was loaded can be asked for, with the flow up to it', async () => {
    const whole = await loadHere({ model: folder, layers: deep.layer });
    const { sequences } = await whole.analyze('a fox', { flow: true });
    const flow = sequences[0]?.tokens.map((token) => token.flow as Float32Array) ?? [];
    for (let layer = 0; layer <= deep.layer; layer++) {
      const halted = await whole.analyze('a fox', { layer, flow: true });
      expect(halted.options.layer).toBe(layer);
      expect(halted.sequences[0]?.tokens.map(({ tas }) => tas)).toEqual(flow.map((layers) => layers[layer]));
      expect(halted.sequences[0]?.tokens[0]?.flow).toEqual(flow[0]?.slice(0, layer + 1));
    }
    await expectFailure(whole.analyze('a', { layer: 6 }), ModelError, /layer 6: .* has 5 encoder layers/);
  });

  test('beyond the model: says how many it has; beyond what was loaded: how to load it', async () => {
    await expectFailure(loadHere({ model: folder, layers: 8 }), ModelError, /layer 8: .* has 5 encoder layers/);
    const one = await loadHere({ model: folder, layers: 1 });
    await expectFailure(one.analyze('a', { layer: 2 }), UsageError, /only 1 layers were loaded.*layers: 2/);
    await expectFailure(one.hiddenStates('a', { layer: 2 }), UsageError, /only 1 layers/);
    await expectFailure(one.tas([{ ids: [2] }], { layer: 2 }), UsageError, /only 1 layers/);
  });
});

describe('what is not there is refused', () => {
  test.each([
    [{ layers: 3 }, /there is no option layers/],
    [{ quantile: 1.1 }, /quantile 1.1/],
    [{ quantile: Number.NaN }, /quantile NaN/],
    [{ interpolation: 'cubic' }, /interpolation cubic: choose from linear, /],
    [{ threshold: -1 }, /threshold -1/],
    [{ stride: 1.5 }, /stride 1.5/],
    [{ layer: 1.5 }, /layer 1.5/],
  ])('%o', async (options, message) => {
    await expectFailure(layer8.analyze('a', options as Partial<AnalysisOptions>), UsageError, message);
  });

  test('ids and lengths that the model has no row for', async () => {
    const { vocab_size: V, max_position_embeddings: P } = model.config;
    await expectFailure(layer8.tas([{ ids: [1, V] }]), ModelError, new RegExp(`${V}`));
    await expectFailure(layer8.tas([{ ids: new Uint32Array(P + 1) }]), InputError, new RegExp(`${P + 1} tokens`));
    await expectFailure(layer8.tas([{ ids: [1], typeIds: [2] }]), InputError, /type 2/);
  });
});
