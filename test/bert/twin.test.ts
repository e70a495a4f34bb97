import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { pack } from '../../src/bert/batch.ts';
import { readConfig } from '../../src/bert/config.ts';
import { forward } from '../../src/bert/forward.ts';
import { openCheckpoint, tensorRef } from '../../src/checkpoint/checkpoint.ts';
import type { TensorRef } from '../../src/checkpoint/checkpoint.ts';
import { fileFolder } from '../../src/checkpoint/file.ts';
import { readAllF32, readAllI32 } from '../../src/checkpoint/read.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import type { SafetensorsFile } from '../../src/checkpoint/safetensors.ts';
import { allclose } from '../allclose.ts';
import { TwinOperations } from '../../kernels/twins/operations.ts';
import type { Matrix } from '../../kernels/twins/operations.ts';
import { readTwinWeights } from '../../kernels/twins/weights.ts';

const TINY = fileURLToPath(new URL('../fixtures/reference/tiny', import.meta.url));

/** The reference is computed in float64 and stored as float32: half a unit in the last place, and a little for float64's own. */
const STORED = { rtol: 2 ** -24 * 1.01, atol: 1e-12 };

describe.each(readdirSync(TINY))('%s, forward.ts in float64 on the CPU', (name) => {
  test('every hidden state and attention of every sequence, packed', async () => {
    const folder = `${TINY}/${name}`;
    const config = await readConfig(folder);
    await using checkpoint = await openCheckpoint(folder);
    const weights = await readTwinWeights(checkpoint, config);
    const source = await (await fileFolder(folder)).open('reference.safetensors');
    if (!source) throw new Error(`no reference in ${folder}`);
    const reference = await openSafetensors(source);
    const batch = pack(await readSequences(reference));
    const states = new Map<string, Matrix>();
    forward(new TwinOperations(config), weights, batch, config.numHiddenLayers, (stage, tensor) => {
      states.set(stage, tensor);
      return tensor;
    });

    expect(batch.sequences.length).toBe(6);
    for (const [q, { start, length }] of batch.sequences.entries()) {
      for (let l = 0; l <= config.numHiddenLayers; l++) {
        const { values, columns } = states.get(`hidden_states.${l}`) as Matrix;
        const own = values.subarray(start * columns, (start + length) * columns);
        allclose(
          own,
          await readAllF32(tensorOf(reference, `${q}.hidden_states.${l}`)),
          STORED,
          `sequence ${q}, layer ${l}`,
        );
      }
      for (let l = 0; l < config.numHiddenLayers; l++) {
        const probabilities = states.get(`layer.${l}.attention.probs`) as Matrix;
        const own = ownProbabilities(probabilities, batch.rows, start, length);
        allclose(
          own,
          await readAllF32(tensorOf(reference, `${q}.attentions.${l}`)),
          STORED,
          `sequence ${q}, attention of layer ${l}`,
        );
      }
    }
    await source.close?.();
  });
});

function tensorOf(file: SafetensorsFile, name: string): TensorRef {
  const info = file.tensors.get(name);
  if (!info) throw new Error(`no ${name} in ${file.name}`);
  return tensorRef(file, info);
}

async function readSequences(file: SafetensorsFile): Promise<{ ids: Int32Array; typeIds: Int32Array }[]> {
  const ints = (name: string): Promise<Int32Array> => readAllI32(tensorOf(file, name));
  const sequences = [];
  for (let q = 0; file.tensors.has(`${q}.input_ids`); q++) {
    sequences.push({ ids: await ints(`${q}.input_ids`), typeIds: await ints(`${q}.token_type_ids`) });
  }
  return sequences;
}

/** [A, S, longest] → [A, length, length] */
function ownProbabilities({ values, rows, columns }: Matrix, S: number, start: number, length: number): number[] {
  const own: number[] = [];
  for (let row = 0; row < rows; row++) {
    const s = row % S;
    if (s >= start && s < start + length) own.push(...values.subarray(row * columns, row * columns + length));
  }
  return own;
}
