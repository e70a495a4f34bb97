/**
 * BERT's encoder (Devlin et al. 2018, arXiv:1810.04805; the Transformer of Vaswani et al. 2017, arXiv:1706.03762), from token
 * ids to the hidden states of one layer. Each line is one equation and, on the plain rung, one kernel of kernels/.
 *
 * S rows: the tokens of all sequences of the batch, packed end to end · H hidden size · A heads · D = H / A, the size of a head
 * I intermediate size · longest: tokens of the longest sequence
 *
 * The names given to `stage` are Hugging Face's; whoever verifies or measures the states listens there.
 */
import type { Batch } from './batch.ts';
import type { BertWeights, LayerWeights, Operations, Stage } from './operations.ts';

const goOn: Stage<unknown> = (_name, tensor) => tensor;

/**
 * Runs `layers` encoder layers and halts: `hidden_states[layers]` of Hugging Face, [S, H]. Weights of later layers are not looked at.
 */
export function forward<T>(
  ops: Operations<T>,
  weights: BertWeights<T>,
  batch: Batch,
  layers: number,
  stage: Stage<T> = goOn as Stage<T>,
): T {
  const summed = stage('embeddings.sum', ops.embeddings(batch, weights.embeddings)); // [S, H] word + position + token type
  let hidden = stage('hidden_states.0', ops.layerNorm(summed, weights.embeddings.layerNorm)); // [S, H]

  for (const [l, layer] of weights.layers.slice(0, layers).entries()) {
    const inLayer: Stage<T> = (name, tensor) => stage(`layer.${l}.${name}`, tensor);
    hidden = stage(`hidden_states.${l + 1}`, encoderLayer(ops, layer, batch, hidden, inLayer)); // [S, H]
  }
  return hidden;
}

/** One encoder layer: self-attention, then the feed-forward network, each with a residual and a LayerNorm after it. [S, H] → [S, H] */
function encoderLayer<T>(ops: Operations<T>, layer: LayerWeights<T>, batch: Batch, hidden: T, stage: Stage<T>): T {
  const { attention } = layer;

  // Self-attention: every token looks at every token of its own sequence.
  const query = stage('attention.query', ops.linear(hidden, attention.query)); // [S, H] = h Wqᵀ + bq
  const key = stage('attention.key', ops.linear(hidden, attention.key)); // [S, H] = h Wkᵀ + bk
  const value = stage('attention.value', ops.linear(hidden, attention.value)); // [S, H] = h Wvᵀ + bv
  const scores = stage('attention.scores', ops.attentionScores(query, key, batch)); // [A, S, longest] = q kᵀ / √D
  const probs = stage('attention.probs', ops.softmax(scores, batch)); // [A, S, longest]
  const context = stage('attention.context', ops.attentionContext(probs, value, batch)); // [S, H] = probs · v
  const projected = stage('attention.output.dense', ops.linear(context, attention.output)); // [S, H]
  const residual = stage('attention.output.residual', ops.add(projected, hidden)); // [S, H]
  const attended = stage('attention.output.LayerNorm', ops.layerNorm(residual, attention.layerNorm)); // [S, H]

  // Feed-forward network: each token by itself.
  const widened = stage('intermediate.dense', ops.linear(attended, layer.intermediate)); // [S, I]
  const activated = stage('intermediate.gelu', ops.activation(widened)); // [S, I], GELU unless the config says otherwise
  const narrowed = stage('output.dense', ops.linear(activated, layer.output)); // [S, H]
  const summed = stage('output.residual', ops.add(narrowed, attended)); // [S, H]
  return stage('output.LayerNorm', ops.layerNorm(summed, layer.layerNorm)); // [S, H]
}
