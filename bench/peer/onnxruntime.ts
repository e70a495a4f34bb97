/** The peer's process: `node onnxruntime.js cpu` or `node onnxruntime.js webgpu`. */
import process from 'node:process';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { serve } from '../engines/serve.ts';
import type { LoadOptions, Sequence } from '../protocol.ts';
import { batches, type Batch, type Batching } from './batching.ts';
import { buildGraphs, type GraphFiles } from './graph.ts';

/** BERT's own additive mask: small enough to vanish in the softmax, and no infinity that a row of padding could turn to NaN. */
const MASKED = -10_000;

const provider = process.argv[2];
let files: GraphFiles;
let sessionOptions: InferenceSession.SessionOptions;
/** A graph's session is made when a batch first needs it, so that only what is used takes memory. */
const sessions: Partial<Record<keyof GraphFiles, InferenceSession>> = {};

async function sessionOf(graph: keyof GraphFiles): Promise<InferenceSession> {
  return (sessions[graph] ??= await InferenceSession.create(files[graph], sessionOptions));
}

async function runBatch(sequences: Sequence[], { members, length }: Batch): Promise<Float32Array> {
  const ids = new Int32Array(members.length * length);
  members.forEach((i, row) => ids.set(sequences[i], row * length));
  const feeds: Record<string, Tensor> = {
    input_ids: new Tensor('int32', ids, [members.length, length]),
    token_type_ids: new Tensor('int32', new Int32Array(ids.length), [members.length, length]),
  };
  const masked = members.some((i) => sequences[i].length < length);
  if (masked) {
    const bias = new Float32Array(members.length * length * length);
    members.forEach((i, batch) => {
      for (let query = 0; query < length; query++) {
        const row = (batch * length + query) * length;
        bias.fill(MASKED, row + sequences[i].length, row + length);
      }
    });
    feeds.attention_bias = new Tensor('float32', bias, [members.length, 1, length, length]);
  }
  const { tas } = await (await sessionOf(masked ? 'masked' : 'plain')).run(feeds);
  return tas.data as Float32Array;
}

await serve({
  prepare({ model, layers, cache }) {
    buildGraphs(model, layers, cache);
  },
  async load({ model, layers, cache, threads }: LoadOptions) {
    if (provider !== 'cpu' && provider !== 'webgpu') throw new Error(`no such provider: ${provider}`);
    files = buildGraphs(model, layers, cache);
    // Severity 3: errors only. Warnings tell that the embedding runs on the CPU, which bench/README.md says too.
    sessionOptions = {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
    };
  },
  async run(sequences, batching) {
    const tas: Float32Array[] = [];
    for (const batch of batches(
      sequences.map((ids) => ids.length),
      batching as Batching,
    )) {
      const rows = await runBatch(sequences, batch);
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
