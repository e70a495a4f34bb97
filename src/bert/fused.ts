import { TILE_ROWS } from '../../kernels/attention_subgroup.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Recording } from '../gpu/recording.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { Batch } from './batch.ts';
import type { Activation, BertConfig } from './config.ts';
import type { BertWeights, Dense, LayerNorm } from './operations.ts';
import { PlainOperations } from './plain.ts';
import type { PlainSources } from './plain.ts';
import type { GpuOperations } from './rung.ts';
import type { SubgroupKernels } from './subgroup.ts';

/** Heights of a matrix product's tile. A batch is covered by the fewest rows of both; a row's result does not depend on which. */
const TALL = 16;
const LOW = 12;

/** Tall and low tiles that cover `rows` with the fewest rows past the end, then with the fewest tiles. */
export function tilesFor(rows: number): { tall: number; low: number } {
  let best = { tall: Math.ceil(rows / TALL), low: 0 };
  const covered = ({ tall, low }: { tall: number; low: number }): number => tall * TALL + low * LOW;
  for (let low = 1; low <= TALL / (TALL - LOW); low++) {
    const tiles = { tall: Math.ceil(Math.max(0, rows - low * LOW) / TALL), low };
    if (covered(tiles) < covered(best)) best = tiles;
  }
  return best;
}

/** A line of forward.ts that no dispatch of its own computes, or not yet. */
type Line =
  | {
      readonly op: 'linear';
      readonly x: Tensor;
      readonly dense: Dense<Tensor>;
      readonly activation: Activation | 'none';
    }
  | { readonly op: 'columns'; readonly of: Tensor; readonly first: number }
  | { readonly op: 'scores'; readonly query: Tensor; readonly key: Tensor; readonly batch: Batch }
  | { readonly op: 'probabilities'; readonly scores: Tensor; readonly batch: Batch }
  | { readonly op: 'sum'; readonly a: Tensor; readonly b: Tensor };

/**
 * The lines of forward.ts on fewer dispatches. A line that may be fused with a later one is only noted, beside the tensor that
 * stands for it; the line that uses it then takes it in: an activation its matrix product, a LayerNorm the sum before it, the
 * context the scores and the softmax. `asBuffer` computes what a fusion left out, for whoever wants to see it.
 */
export class FusedOperations implements GpuOperations {
  readonly #recording: Recording;
  readonly #config: BertConfig;
  readonly #kernels: SubgroupKernels;
  /** Computes what is left out, when somebody wants to see it. */
  readonly #plain: PlainOperations;
  readonly #lines = new Map<Tensor, Line>();
  readonly #dispatched = new Set<Tensor>();
  readonly #stacked = new Map<Tensor, { matrix: Tensor; product: Tensor }>();
  #tables: { batch: Batch; rows: Tensor; tiles: Tensor } | undefined;

  constructor(gpu: Gpu, recording: Recording, config: BertConfig, kernels: SubgroupKernels, plain: PlainSources) {
    this.#recording = recording;
    this.#config = config;
    this.#kernels = kernels;
    this.#plain = new PlainOperations(gpu, recording, config, plain, true);
  }

  embeddings(batch: Batch, { word, position, tokenType }: BertWeights<Tensor>['embeddings']): Tensor {
    const { hiddenSize: H } = this.#config;
    const y = this.#texture('embeddings', [batch.rows, H]);
    const kernel = this.#kernels.embeddings(word.element);
    const operands = { rows: this.#tablesOf(batch).rows, word, position, token_type: tokenType, y };
    this.#recording.dispatch(kernel, operands, { S: batch.rows, H }, [Math.ceil(H / 256), batch.rows]);
    return y;
  }

  /** Noted; a part of a stacked matrix is some columns of the product with all of it, which is computed once. */
  linear(x: Tensor, dense: Dense<Tensor>): Tensor {
    const { part } = dense.weight;
    const biasPart = dense.bias.part;
    const shape = [x.rows, dense.weight.rows];
    if (!part || !biasPart)
      return this.#note(dense.weight.label, shape, { op: 'linear', x, dense, activation: 'none' });
    let stacked = this.#stacked.get(x);
    if (stacked?.matrix !== part.of) {
      stacked = { matrix: part.of, product: this.linear(x, { weight: part.of, bias: biasPart.of }) };
      this.#stacked.set(x, stacked);
    }
    return this.#note(dense.weight.label, shape, { op: 'columns', of: stacked.product, first: part.row });
  }

  activation(x: Tensor): Tensor {
    const line = this.#lines.get(x);
    if (line?.op !== 'linear') throw new Error(`${x.label}: only a matrix product has an activation as its epilogue`);
    return this.#note('activation', x.shape, { ...line, activation: this.#config.hiddenAct });
  }

  attentionScores(query: Tensor, key: Tensor, batch: Batch): Tensor {
    const { numAttentionHeads: A } = this.#config;
    return this.#note('scores', [A, batch.rows, batch.longest], { op: 'scores', query, key, batch });
  }

  softmax(scores: Tensor, batch: Batch): Tensor {
    return this.#note('probabilities', scores.shape, { op: 'probabilities', scores, batch });
  }

  /** Scores, softmax and context in one dispatch. */
  attentionContext(probabilities: Tensor, value: Tensor, batch: Batch): Tensor {
    const { hiddenSize: H, numAttentionHeads: A } = this.#config;
    const softmax = this.#lines.get(probabilities);
    const scores = softmax?.op === 'probabilities' ? this.#lines.get(softmax.scores) : undefined;
    if (scores?.op !== 'scores') throw new Error('attention: the probabilities are not of this recording');
    const [query, key, v] = [scores.query, scores.key, value].map((tensor) => this.#columns(tensor)) as [
      Columns,
      Columns,
      Columns,
    ];
    const context = this.#texture('context', [batch.rows, H]);
    const { tiles } = this.#tablesOf(batch);
    this.#recording.dispatch(
      this.#kernels.attention(),
      { query: query.of, key: key.of, value: v.of, tiles, context },
      { query: query.first / 4, key: key.first / 4, value: v.first / 4 },
      [tiles.rows, A],
    );
    return context;
  }

  /** Noted: the LayerNorm after it adds. */
  add(a: Tensor, b: Tensor): Tensor {
    return this.#note('sum', a.shape, { op: 'sum', a, b });
  }

  layerNorm(x: Tensor, { weight: gamma, bias: beta }: LayerNorm<Tensor>): Tensor {
    const sum = this.#lines.get(x);
    const residual = sum?.op === 'sum';
    const y = this.#texture('LayerNorm', x.shape);
    const kernel = this.#kernels.layerNorm(residual);
    const inputs = residual ? { x: this.#computed(sum.a), residual: this.#computed(sum.b) } : { x: this.#computed(x) };
    this.#recording.dispatch(kernel, { ...inputs, gamma, beta, y }, { epsilon: this.#config.layerNormEps }, [x.rows]);
    return y;
  }

  l2Norm(x: Tensor): Tensor {
    const S = x.rows;
    const y = this.#recording.tensor('norm', [S]);
    this.#recording.dispatch(this.#kernels.l2Norm(), { x: this.#computed(x), y }, { S, H: x.columns }, [S]);
    return y;
  }

  /** Computes with the plain kernels what a fused one never writes down. */
  asBuffer(x: Tensor): Tensor {
    const line = this.#lines.get(x);
    if (line?.op === 'scores')
      return this.#plain.attentionScores(this.asBuffer(line.query), this.asBuffer(line.key), line.batch);
    if (line?.op === 'probabilities') return this.#plain.softmax(this.asBuffer(line.scores), line.batch);
    if (line?.op === 'sum') return this.#plain.add(this.asBuffer(line.a), this.asBuffer(line.b));
    const { of, first } = this.#columns(x);
    if (of.storage === 'buffer') return of;
    const [S, N] = [x.rows, x.columns];
    const y = this.#recording.tensor(x.label, [S, N]);
    this.#recording.dispatch(this.#kernels.textureToBuffer(), { x: of, y }, { S, N, first }, [Math.ceil(N / 64), S]);
    return y;
  }

  #texture(label: string, shape: readonly number[]): Tensor {
    return this.#recording.tensor(label, shape, { storage: 'texture' });
  }

  #note(label: string, shape: readonly number[], line: Line): Tensor {
    const tensor = this.#texture(label, shape);
    this.#lines.set(tensor, line);
    return tensor;
  }

  /** The texture that holds `x`, computed, and the column it starts at. */
  #columns(x: Tensor): Columns {
    const line = this.#lines.get(x);
    return line?.op === 'columns'
      ? { of: this.#computed(line.of), first: line.first }
      : { of: this.#computed(x), first: 0 };
  }

  /** `x`, after its dispatch where it was only noted until now. */
  #computed(x: Tensor): Tensor {
    const line = this.#lines.get(x);
    if (!line || this.#dispatched.has(x)) return x;
    if (line.op !== 'linear') throw new Error(`${x.label} is never computed by itself on this rung`);
    this.#dispatched.add(x);
    this.#dispatchLinear(this.#computed(line.x), line.dense, line.activation, x);
    return x;
  }

  #dispatchLinear(x: Tensor, { weight: W, bias: b }: Dense<Tensor>, activation: Activation | 'none', y: Tensor): void {
    const [S, N, K] = [x.rows, W.rows, W.columns];
    const { tall, low } = tilesFor(S);
    let first_row = 0;
    for (const [height, count] of [
      [TALL, tall],
      [LOW, low],
    ] as const) {
      if (count === 0) continue;
      const { kernel, rows, columns } = this.#kernels.linear(height, W.element, activation);
      this.#recording.dispatch(kernel, { x, W, b, y }, { S, N, K, first_row }, [count, Math.ceil(N / columns)]);
      first_row += count * rows;
    }
  }

  /** The batch's tables on the GPU, uploaded once a recording. */
  #tablesOf(batch: Batch): { rows: Tensor; tiles: Tensor } {
    if (this.#tables?.batch !== batch) {
      const tiles = queryTiles(batch);
      this.#tables = {
        batch,
        rows: this.#recording.upload('rows', [batch.rows, 4], batch.table),
        tiles: this.#recording.upload('tiles', [tiles.length / 4, 4], tiles),
      };
    }
    return this.#tables;
  }
}

interface Columns {
  readonly of: Tensor;
  readonly first: number;
}

/** (first row, rows, start, length) of each tile of query rows; a tile lies within one sequence. */
function queryTiles({ sequences }: Batch): Uint32Array {
  const tiles: number[] = [];
  for (const { start, length } of sequences) {
    for (let row = 0; row < length; row += TILE_ROWS) {
      tiles.push(start + row, Math.min(TILE_ROWS, length - row), start, length);
    }
  }
  return Uint32Array.from(tiles);
}
