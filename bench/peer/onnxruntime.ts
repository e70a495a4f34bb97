/** The peer's process: `node onnxruntime.js cpu` or `node onnxruntime.js webgpu`. */
import { join } from 'node:path';
import process from 'node:process';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { serve } from '../engines/serve.ts';
import type { LoadOptions, Sequence } from '../protocol.ts';
import { batches, type Batch } from './batching.ts';
import { buildGraphs, graphFile, type GraphKind } from './graph.ts';

/** BERT's own additive mask: small enough to vanish in the softmax, and no infinity that a row of padding could turn to NaN. */
const MASKED = -10_000;

const provider = process.argv[2];
let graphs: string;
let sessionOptions: InferenceSession.SessionOptions;
/** A graph's session is made when a batch first needs it, so that only what is used takes memory. */
const sessions: Record<string, InferenceSession> = {};

async function sessionOf(kind: GraphKind): Promise<InferenceSession> {
  const file = graphFile(kind);
  return (sessions[file] ??= await InferenceSession.create(join(graphs, file), sessionOptions));
}

async function runBatch(sequences: Sequence[], { members, length }: Batch, kind: GraphKind): Promise<Float32Array> {
  const ids = new Int32Array(members.length * length);
  members.forEach((i, row) => ids.set(sequences[i], row * length));
  const feeds: Record<string, Tensor> = {
    input_ids: new Tensor('int32', ids, [members.length, length]),
    token_type_ids: new Tensor('int32', new Int32Array(ids.length), [members.length, length]),
  };
  if (kind.masked) {
    const bias = new Float32Array(members.length * length * length);
    members.forEach((i, batch) => {
      for (let query = 0; query < length; query++) {
        const row = (batch * length + query) * length;
        bias.fill(MASKED, row + sequences[i].length, row + length);
      }
    });
    feeds.attention_bias = new Tensor('float32', bias, [members.length, 1, length, length]);
  }
  const { tas } = await (await sessionOf(kind)).run(feeds);
  return tas.data as Float32Array;
}

await serve({
  prepare({ model, layers, cache }) {
    buildGraphs(model, layers, cache);
  },
  async load({ model, layers, cache, threads }: LoadOptions) {
    if (provider !== 'cpu' && provider !== 'webgpu') throw new Error(`no such provider: ${provider}`);
    graphs = buildGraphs(model, layers, cache);
    // Severity 3: errors only. Warnings tell that the embedding runs on the CPU, which bench/README.md says too.
    sessionOptions = {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    };
  },
  async run(sequences, { batching, flash }) {
    const tas: Float32Array[] = [];
    const all = batches(sequences, batching);
    // One graph for all batches of a run: with a second one the weights would be in memory twice.
    const masked = all.some(({ members, length }) => members.some((i) => sequences[i].length < length));
    for (const batch of all) {
      const rows = await runBatch(sequences, batch, { masked, flash });
      batch.members.forEach((i, row) => {
        tas[i] = rows.subarray(row * batch.length, row * batch.length + sequences[i].length);
      });
    }
    return tas;
  },
  async exit() {
    for (const session of Object.values(sessions)) await session.release();
  },
});
