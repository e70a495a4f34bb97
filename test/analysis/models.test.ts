import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allclose } from '../allclose.ts';
import { writeModel } from './made-model.ts';
import type { MadeModel } from './made-model.ts';
import { loadHere, recorded, temporaryFolder } from './support.ts';

interface Models {
  readonly vocabulary: readonly string[];
  readonly models: readonly (MadeModel & {
    readonly name: string;
    readonly texts: readonly {
      readonly text: string | readonly [string, string];
      readonly ids: readonly number[];
      /** [layer + 1][T], by transformers in float64. */
      readonly tas: readonly (readonly number[])[];
    }[];
  })[];
}

const { vocabulary, models } = await recorded<Models>('models');

describe.each(models)('$name: $dtype, cased $cased, prefix "$prefix", gamma $gamma, layer $layer', (model) => {
  test('TAS of every layer is what transformers computes', async () => {
    const folder = await writeModel(join(await temporaryFolder(), model.name), model, vocabulary);
    const layer8 = await loadHere({ model: folder, layers: model.layer });
    expect(layer8.model).toMatchObject({
      name: model.name,
      dtype: model.dtype,
      layers: model.config.num_hidden_layers,
      hidden: model.config.hidden_size,
    });
    const inputs = model.texts.map(({ text }) =>
      typeof text === 'string' ? { text } : { text: text[0], pair: text[1] },
    );
    const { sequences } = await layer8.analyze(inputs, { flow: true });
    for (const [index, { text, ids, tas }] of model.texts.entries()) {
      const tokens = sequences[index]?.tokens ?? [];
      expect(tokens.map(({ id }) => id)).toEqual(ids);
      for (const [layer, expected] of tas.entries()) {
        const actual = tokens.map(({ flow }) => flow?.[layer] as number);
        allclose(actual, expected, { rtol: 5e-6 }, `${JSON.stringify(text)}, layer ${layer}`);
      }
      expect(tokens.map((token) => token.tas)).toEqual(tokens.map(({ flow }) => flow?.at(-1)));
    }
  });
});
