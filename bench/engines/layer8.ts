/** layer8's own process: the library as a user imports it. */
import { load } from '../../src/index.ts';
import { serve } from './serve.ts';

let model: Awaited<ReturnType<typeof load>>;

await serve({
  async load({ model: folder, layers, adapter, robustness, kernels }) {
    model = await load({ model: folder, layers, adapter, robustness, ...(kernels ? { kernels } : {}) });
  },
  run: (sequences) => model.tas(sequences.map((ids) => ({ ids }))),
  exit: () => model[Symbol.asyncDispose](),
});
