import { parseConfig } from '../../src/bert/config.ts';
import { readText } from '../../src/checkpoint/source.ts';
import { MemorySource } from '../checkpoint/support.ts';
import { apply, editsOf, fromLatin1, jsonFragments, toLatin1 } from './edits.ts';
import type { Target } from './target.ts';

const CONFIGS = [
  {
    model_type: 'bert',
    hidden_act: 'gelu',
    hidden_size: 768,
    intermediate_size: 3072,
    layer_norm_eps: 1e-12,
    max_position_embeddings: 512,
    num_attention_heads: 12,
    num_hidden_layers: 12,
    position_embedding_type: 'absolute',
    type_vocab_size: 2,
    vocab_size: 30522,
  },
  { model_type: 'bert' },
  { hidden_size: 6, num_attention_heads: 2, hidden_act: 'gelu_pytorch_tanh' },
].map((config) => new TextEncoder().encode(JSON.stringify(config)));
const FRAGMENTS = jsonFragments(
  'model_type hidden_size num_attention_heads "relu" "gelu_new" "gelu_fast" "roberta" layer_norm_eps position_embedding_type',
);

/** config.json. */
export const configs: Target<string> = {
  name: 'configs',
  runs: { full: 200_000, short: 8000 },
  inputs: editsOf(CONFIGS.length).map(({ file, edits }) => toLatin1(apply(CONFIGS[file], edits, FRAGMENTS))),
  async take(input) {
    const text = await readText(new MemorySource(fromLatin1(input)), 10_000_000);
    const { layerNormEps, hiddenAct, name: _, ...sizes } = parseConfig(text, 'config.json', 'model');
    for (const [key, size] of Object.entries(sizes)) {
      if (typeof size === 'number' && !(Number.isSafeInteger(size) && size >= 0)) throw new Error(`${key} is ${size}`);
    }
    if (sizes.hiddenSize % sizes.numAttentionHeads !== 0) throw new Error('heads do not divide the hidden size');
    if (!(layerNormEps >= 0 && layerNormEps < Infinity)) throw new Error(`layer_norm_eps is ${layerNormEps}`);
    if (!['gelu', 'gelu_new', 'relu'].includes(hiddenAct)) throw new Error(`the activation is ${hiddenAct}`);
    // What was read is what the file says.
    const said = (JSON.parse(text) as Record<string, unknown>).hidden_size ?? 768;
    if (sizes.hiddenSize !== said) throw new Error(`hidden_size ${String(said)} was read as ${sizes.hiddenSize}`);
  },
};
