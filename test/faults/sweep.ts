// Loses the device in each layer of a batch's commands, one after the other, in one process: argv names the model and the
// adapter. Needs preload/lose.mjs. Prints what happened as one line of JSON.
import { pack } from '../../src/bert/batch.ts';
import { forward } from '../../src/bert/forward.ts';
import { BertModel } from '../../src/bert/model.ts';

/** What a run of this file prints. */
export interface Sweep {
  layers: { layer: number; same: boolean; warnings: number }[];
}

const [folder = '', adapter = ''] = process.argv.slice(2);
const { counts, lose } = globalThis.fault;
const batch = pack([{ ids: [2, 5, 6, 7, 3] }, { ids: [2, 8, 3] }]);
const warnings: string[] = [];
await using model = await BertModel.open(folder, {
  adapter,
  kernels: 'plain',
  warn: (message) => warnings.push(message),
});

/** The states after `layers` layers, as bytes. */
const statesAt = (layers: number): Promise<string> =>
  model.run(async ({ record, weights }) => {
    const { recording, ops } = record();
    const [states] = await recording.submit([ops.asBuffer(forward(ops, weights, batch, layers))]);
    return Buffer.from(states as ArrayBuffer).toString('hex');
  });
/** Dispatches of a forward pass of so many layers. */
async function dispatches(layers: number): Promise<number> {
  const before = counts.dispatch;
  await statesAt(layers);
  return counts.dispatch - before;
}

const embeddings = await dispatches(0);
const perLayer = (await dispatches(1)) - embeddings;
const expected = await statesAt(8);
const sweep: Sweep = { layers: [] };
for (let layer = 0; layer <= 8; layer++) {
  warnings.length = 0;
  lose('dispatch', counts.dispatch + (layer === 0 ? 1 : embeddings + (layer - 1) * perLayer + (perLayer >> 1)));
  const same = (await statesAt(8)) === expected;
  sweep.layers.push({ layer, same, warnings: warnings.length });
}
console.log(JSON.stringify(sweep));
