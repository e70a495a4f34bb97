import { join } from 'node:path';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { NumericError, UsageError } from '../../src/errors.ts';
import type { Input, Layer8, SequenceResult } from '../../src/index.ts';
import { expectFailure } from '../checkpoint/support.ts';
import { mix, writeModel } from './made-model.ts';
import type { MadeModel } from './made-model.ts';
import { loadHere, recorded, temporaryFolder } from './support.ts';

const { vocabulary, models } = await recorded<{ vocabulary: string[]; models: (MadeModel & { name: string })[] }>(
  'models',
);
const model = models.find(({ name }) => name === 'cased') as MadeModel;
const POSITIONS = model.config.max_position_embeddings;

let folder: string;
beforeAll(async () => {
  folder = await writeModel(join(await temporaryFolder(), 'cased'), model, vocabulary);
});

/** A text of `words` words, one to four tokens each. */
function textOf(words: number, seed: number): string {
  const from = ['fox', 'The', 'a', 'unable', 'rivers', 'Zq', 'bank', 'é'];
  return Array.from({ length: words }, (_, i) => from[mix(1000 * seed + i) % from.length]).join(' ');
}

/** What a result says of its text, whatever its id. */
function told(sequence: SequenceResult): SequenceResult {
  return { ...sequence, id: '' };
}

describe.each(['plain', 'auto'])('kernels %s', (kernels) => {
  let layer8: Layer8;
  beforeAll(async () => {
    layer8 = await loadHere({ model: folder, layers: model.layer, kernels });
  });

  test('TAS is bit-identical whatever a sequence is batched with', async () => {
    const length = fc.oneof(fc.integer({ min: 1, max: POSITIONS }), fc.constantFrom(1, 15, 16, 17, POSITIONS));
    await fc.assert(
      fc.asyncProperty(fc.array(length, { minLength: 2, maxLength: 9 }), fc.nat(1e6), async (lengths, seed) => {
        const sequences = lengths.map((count, s) => ({
          ids: Uint32Array.from({ length: count }, (_, i) => mix(seed + 100 * s + i) % vocabulary.length),
          typeIds: Uint32Array.from({ length: count }, (_, i) => (2 * i > count ? 1 : 0)),
        }));
        const together = await layer8.tas(sequences);
        const reversed = (await layer8.tas(sequences.toReversed())).toReversed();
        expect(reversed).toEqual(together);
        const picked = seed % sequences.length;
        expect(await layer8.tas([sequences[picked] as (typeof sequences)[0]])).toEqual([together[picked]]);
      }),
      { numRuns: 15 },
    );
  });

  test('200 texts are, in order, what each is by itself', async () => {
    const inputs = Array.from({ length: 200 }, (_, i): Input => ({ id: `text ${i}`, text: textOf(i % 13, i % 40) }));
    const { sequences } = await layer8.analyze(inputs, { flow: true, shift: true });
    expect(sequences.map(({ id }) => id)).toEqual(inputs.map(({ id }) => id));
    // The same text twice is an exact tie.
    const first = new Map<string, SequenceResult>();
    for (const sequence of sequences) {
      const before = first.get(sequence.text);
      if (before) expect(told(sequence)).toEqual(told(before));
      else first.set(sequence.text, sequence);
    }
    for (const index of [0, 7, 63, 64, 65, 199]) {
      const alone = await layer8.analyze(inputs[index] as Input, { flow: true, shift: true });
      expect(alone.sequences).toEqual([sequences[index]]);
    }
  });

  test('concurrent calls queue, and each is right', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => textOf(1 + i, i));
    const oneByOne = [];
    for (const text of texts) oneByOne.push((await layer8.analyze(text)).sequences);
    const atOnce = await Promise.all(texts.map((text) => layer8.analyze(text)));
    expect(atOnce.map(({ sequences }) => sequences)).toEqual(oneByOne);
    // Streams that take turns.
    const streams = texts.map((text) => layer8.analyzeStream([{ text }, { text: `${text} fox` }]));
    const heads = await Promise.all(streams.map((stream) => stream.next()));
    expect(heads.map(({ value }) => value as SequenceResult)).toEqual(oneByOne.flat());
    await Promise.all(streams.map((stream) => stream.return(undefined)));
  });
});

test('disposed: what is under way ends or fails as typed, and later calls are refused', async () => {
  const layer8 = await loadHere({ model: folder, layers: 1 });
  const underWay = layer8.analyze(textOf(20, 1)).catch((error: unknown) => error);
  await layer8[Symbol.asyncDispose]();
  const outcome = await underWay;
  expect(outcome instanceof UsageError || (outcome as { sequences?: unknown }).sequences !== undefined).toBe(true);
  await expectFailure(layer8.analyze('fox'), UsageError, /disposed/);
  await layer8[Symbol.asyncDispose]();
});

test('a state that overflows names the token, the text and the layer', async () => {
  const broken = await writeModel(join(await temporaryFolder(), 'broken'), model, vocabulary, (name, weights) => {
    // 3e38 in one component: finite, and its square is not.
    if (name === 'encoder.layer.1.output.LayerNorm.bias') weights[3] = 3e38;
  });
  const layer8 = await loadHere({ model: broken, layers: 3 });
  await expectFailure(
    layer8.analyze([{ id: 'one', text: 'a fox' }], { layer: 2 }),
    NumericError,
    /token 0 \("\[CLS\]"\) of text "one" .* from layer 2 on/,
  );
  expect((await layer8.analyze('a fox', { layer: 1 })).sequences).toHaveLength(1);
  await expectFailure(
    layer8.analyze([{ id: 'long', text: textOf(200, 1) }], { layer: 2, stride: 8 }),
    NumericError,
    /token 0 .* of text "long" .* from layer 2 on/,
  );
});
