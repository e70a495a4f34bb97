import type { Batch } from '../../src/bert/batch.ts';
import type { BertConfig } from '../../src/bert/config.ts';
import type { BertWeights, Dense, LayerNorm, Operations } from '../../src/bert/operations.ts';
import { add } from './add.ts';
import { attentionContext } from './attention_context.ts';
import { attentionScores } from './attention_scores.ts';
import type { AttentionSize } from './attention_scores.ts';
import { embeddings } from './embeddings.ts';
import { gelu } from './gelu.ts';
import { geluNew } from './gelu_new.ts';
import { l2Norm } from './l2_norm.ts';
import { layerNorm } from './layer_norm.ts';
import { linear } from './linear.ts';
import { relu } from './relu.ts';
import { softmax } from './softmax.ts';

/** Numbers in rows, all dimensions but the last taken together: [rows, columns], row-major. */
export interface Matrix {
  readonly values: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

const ACTIVATIONS = { gelu, gelu_new: geluNew, relu };

/** The kernels' twins, one by one: with these, forward.ts itself runs in float64 on the CPU. */
export class TwinOperations implements Operations<Matrix> {
  readonly #config: BertConfig;

  constructor(config: BertConfig) {
    this.#config = config;
  }

  embeddings({ rows, table }: Batch, { word, position, tokenType }: BertWeights<Matrix>['embeddings']): Matrix {
    const H = word.columns;
    const values = embeddings(table, word.values, position.values, tokenType.values, { S: rows, H });
    return { values, rows, columns: H };
  }

  linear(x: Matrix, { weight, bias }: Dense<Matrix>): Matrix {
    const size = { S: x.rows, N: weight.rows, K: weight.columns };
    return { values: linear(x.values, weight.values, bias.values, size), rows: x.rows, columns: weight.rows };
  }

  attentionScores(query: Matrix, key: Matrix, batch: Batch): Matrix {
    const size = this.#attention(batch);
    const values = attentionScores(query.values, key.values, batch.table, size);
    return { values, rows: size.A * size.S, columns: size.longest };
  }

  softmax(scores: Matrix, batch: Batch): Matrix {
    return { ...scores, values: softmax(scores.values, batch.table, this.#attention(batch)) };
  }

  attentionContext(probabilities: Matrix, value: Matrix, batch: Batch): Matrix {
    return {
      ...value,
      values: attentionContext(probabilities.values, value.values, batch.table, this.#attention(batch)),
    };
  }

  activation(x: Matrix): Matrix {
    return { ...x, values: ACTIVATIONS[this.#config.hiddenAct](x.values) };
  }

  add(a: Matrix, b: Matrix): Matrix {
    return { ...a, values: add(a.values, b.values) };
  }

  layerNorm(x: Matrix, { weight, bias }: LayerNorm<Matrix>): Matrix {
    const size = { S: x.rows, H: x.columns, epsilon: this.#config.layerNormEps };
    return { ...x, values: layerNorm(x.values, weight.values, bias.values, size) };
  }

  l2Norm(x: Matrix): Matrix {
    return { values: l2Norm(x.values, { S: x.rows, H: x.columns }), rows: 1, columns: x.rows };
  }

  #attention({ rows, longest }: Batch): AttentionSize {
    const { hiddenSize: H, numAttentionHeads: A, headSize: D } = this.#config;
    return { S: rows, H, A, D, longest };
  }
}
