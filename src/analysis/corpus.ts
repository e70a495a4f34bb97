import type { BertModel } from '../bert/model.ts';
import { Recording } from '../gpu/recording.ts';
import { loadItemSources, recordItems } from './items.ts';
import type { Decided } from './items.ts';
import type { Items } from './prepare.ts';
import type { AnalysisOptions } from './result.ts';

/** The TAS of one input's tokens, and what is ranked of it. */
export interface Collected {
  /** [T] */
  readonly tas: Float32Array;
  readonly items: Items;
}

/**
 * One θ over the items of all inputs, and the bucket of each: a corpus, or a text of more windows than one submission takes.
 * Their TAS, four bytes a token, go up again, and one submission ranks them.
 */
export async function decideTogether(
  model: BertModel,
  inputs: readonly Collected[],
  options: AnalysisOptions,
): Promise<Decided[]> {
  const sources = await loadItemSources(options);
  const norms = new Float32Array(inputs.reduce((sum, { tas }) => sum + tas.length, 0));
  let at = 0;
  for (const { tas } of inputs) {
    norms.set(tas, at);
    at += tas.length;
  }
  const ranked = inputs.map(({ tas, items }) => ({ rows: tas.length, items }));
  return model.run(async ({ gpu }) => {
    const recording = new Recording(gpu);
    const uploaded = recording.upload('norms', [norms.length], norms);
    const recorded = recordItems({ gpu }, sources, recording, uploaded, ranked, options, {
      select: true,
      together: true,
    });
    return recorded.decode(norms, await recording.submit(recorded.reads));
  });
}
