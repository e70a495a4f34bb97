import type { Gpu } from '../gpu/device.ts';
import type { Kernel } from '../gpu/kernel.ts';
import type { Recording } from '../gpu/recording.ts';
import type { ElementType, Storage, Tensor } from '../gpu/tensor.ts';
import type { Batch } from './batch.ts';
import type { Activation, BertConfig } from './config.ts';
import type { BertWeights, Dense, LayerNorm } from './operations.ts';
import { PlainOperations } from './plain.ts';
import type { PlainSources } from './plain.ts';
import type { GpuOperations } from './rung.ts';

/** Rows of a matrix product, from the first that no earlier run takes, and the kernel that computes them tile by tile. */
export interface LinearTiles {
  readonly kernel: Kernel;
  /** Rows and columns of y that one workgroup computes. */
  readonly rows: number;
  readonly columns: number;
  /** How many tiles of `rows` rows. */
  readonly count: number;
}

/** A tensor that lies in some columns of a wider one. */
export interface Columns {
  readonly of: Tensor;
  readonly first: number;
}

/** A kernel, and numbers of its uniform that only its rung knows. */
export interface Call {
  readonly kernel: Kernel;
  readonly numbers: Record<string, number>;
}

/** The kernels of a rung that fuses lines, on one device. Each starts to compile when it is first asked for. */
export interface FusedKernels {
  /** Where every tensor between two kernels lies. */
  readonly storage: Storage;
  /** Query rows that a workgroup of attention takes. */
  readonly queryRows: number;
  /** And the columns that a workgroup computes. */
  embeddings(word: ElementType): { kernel: Kernel; columns: number };
  /** Runs of tiles that together cover x [S, K] · W [N, K]ᵀ. The result of a row must not depend on which tile it is in. */
  linear(S: number, W: Tensor, activation: Activation | 'none'): readonly LinearTiles[];
  /** Scores, softmax and context, and the numbers that say where query, key and value lie. */
  attention(query: Columns, key: Columns, value: Columns): Call;
  /** LayerNorm of x, or of x + residual. */
  layerNorm(residual: boolean): Kernel;
  l2Norm(): Kernel;
  /** Copies columns of x into a buffer of their own, and the numbers that say where they lie. */
  copyColumns(x: Columns): Call;
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
  readonly #kernels: FusedKernels;
  /** Computes what is left out, when somebody wants to see it. */
  readonly #plain: PlainOperations;
  readonly #lines = new Map<Tensor, Line>();
  readonly #dispatched = new Set<Tensor>();
  readonly #stacked = new Map<Tensor, { matrix: Tensor; product: Tensor }>();
  #tables: { batch: Batch; rows: Tensor; tiles: Tensor } | undefined;

  constructor(gpu: Gpu, recording: Recording, config: BertConfig, kernels: FusedKernels, plain: PlainSources) {
    this.#recording = recording;
    this.#config = config;
    this.#kernels = kernels;
    this.#plain = new PlainOperations(gpu, recording, config, plain, true);
  }

  embeddings(batch: Batch, { word, position, tokenType }: BertWeights<Tensor>['embeddings']): Tensor {
    const { hiddenSize: H } = this.#config;
    const y = this.#tensor('embeddings', [batch.rows, H]);
    const { kernel, columns } = this.#kernels.embeddings(word.element);
    const operands = { rows: this.#tablesOf(batch).rows, word, position, token_type: tokenType, y };
    this.#recording.dispatch(kernel, operands, { S: batch.rows, H }, [Math.ceil(H / columns), batch.rows]);
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
    const context = this.#tensor('context', [batch.rows, H]);
    const { tiles } = this.#tablesOf(batch);
    const { kernel, numbers } = this.#kernels.attention(query, key, v);
    const operands = { query: query.of, key: key.of, value: v.of, tiles, context };
    this.#recording.dispatch(kernel, operands, numbers, [tiles.rows, A]);
    return context;
  }

  /** Noted: the LayerNorm after it adds. */
  add(a: Tensor, b: Tensor): Tensor {
    return this.#note('sum', a.shape, { op: 'sum', a, b });
  }

  layerNorm(x: Tensor, { weight: gamma, bias: beta }: LayerNorm<Tensor>): Tensor {
    const sum = this.#lines.get(x);
    const residual = sum?.op === 'sum';
    const y = this.#tensor('LayerNorm', x.shape);
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
    const columns = this.#columns(x);
    const { of } = columns;
    if (of.storage === 'buffer' && of.columns === x.columns) return of;
    const [S, N] = [x.rows, x.columns];
    const y = this.#recording.tensor(x.label, [S, N]);
    const { kernel, numbers } = this.#kernels.copyColumns(columns);
    this.#recording.dispatch(kernel, { x: of, y }, { S, N, ...numbers }, [Math.ceil(N / 64), S]);
    return y;
  }

  #tensor(label: string, shape: readonly number[]): Tensor {
    return this.#recording.tensor(label, shape, { storage: this.#kernels.storage });
  }

  #note(label: string, shape: readonly number[], line: Line): Tensor {
    const tensor = this.#tensor(label, shape);
    this.#lines.set(tensor, line);
    return tensor;
  }

  /** The tensor that holds `x`, computed, and the column it starts at. */
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
    let first_row = 0;
    for (const { kernel, rows, columns, count } of this.#kernels.linear(S, W, activation)) {
      this.#recording.dispatch(kernel, { x, W, b, y }, { S, N, K, first_row }, [count, Math.ceil(N / columns)]);
      first_row += count * rows;
    }
  }

  /** The batch's tables on the GPU, uploaded once a recording. */
  #tablesOf(batch: Batch): { rows: Tensor; tiles: Tensor } {
    if (this.#tables?.batch !== batch) {
      const tiles = queryTiles(batch, this.#kernels.queryRows);
      this.#tables = {
        batch,
        rows: this.#recording.upload('rows', [batch.rows, 4], batch.table),
        tiles: this.#recording.upload('tiles', [tiles.length / 4, 4], tiles),
      };
    }
    return this.#tables;
  }
}

/** (first row, rows, start, length) of each tile of query rows; a tile lies within one sequence. */
export function queryTiles({ sequences }: Batch, height: number): Uint32Array {
  const tiles: number[] = [];
  for (const { start, length } of sequences) {
    for (let row = 0; row < length; row += height) {
      tiles.push(start + row, Math.min(height, length - row), start, length);
    }
  }
  return Uint32Array.from(tiles);
}
