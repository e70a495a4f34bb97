import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseConfig, readConfig } from '../../src/bert/config.ts';
import { bertNames } from '../../src/bert/names.ts';
import { ModelError } from '../../src/errors.ts';
import { BERT, TINY, expectFailure, inTemporaryFolder } from '../checkpoint/support.ts';

/** Reads `text` as the config.json of a model folder. */
const refused = (text: string | Uint8Array, message: RegExp, hint?: RegExp): Promise<void> =>
  inTemporaryFolder(async (folder) => {
    await writeFile(join(folder, 'config.json'), text);
    await expectFailure(readConfig(folder), ModelError, message, hint);
  });

// faults 14, 15
describe('config', () => {
  test('of BERT-base', async () => {
    expect(await readConfig(BERT)).toEqual({
      name: 'bert-base-uncased',
      hiddenSize: 768,
      numAttentionHeads: 12,
      headSize: 64,
      intermediateSize: 3072,
      numHiddenLayers: 12,
      vocabSize: 30522,
      maxPositionEmbeddings: 512,
      typeVocabSize: 2,
      hiddenAct: 'gelu',
      layerNormEps: 1e-12,
    });
  });

  test('of the tiny models', async () => {
    expect(await readConfig(join(TINY, 'gelu-h36-a2-i20-f16'))).toMatchObject({ headSize: 18, layerNormEps: 1e-5 });
    expect(await readConfig(join(TINY, 'gelu_new-h40-a5-i52'))).toMatchObject({ headSize: 8, hiddenAct: 'gelu_new' });
    expect(await readConfig(join(TINY, 'relu-h64-a1-i64-bf16'))).toMatchObject({ typeVocabSize: 1, hiddenAct: 'relu' });
  });

  test("keys that are absent have the defaults of transformers' BertConfig", async () => {
    const { name: _, ...base } = await readConfig(BERT);
    expect(parseConfig('{"model_type":"bert"}', 'config.json', 'x')).toEqual({ ...base, name: 'x' });
    expect(parseConfig('{"hidden_size":24}', 'config.json', 'x')).toMatchObject({ hiddenSize: 24, headSize: 2 });
  });

  test('gelu_pytorch_tanh is the formula of gelu_new', () => {
    const text = '{"model_type":"bert","hidden_act":"gelu_pytorch_tanh"}';
    expect(parseConfig(text, 'config.json', 'x').hiddenAct).toBe('gelu_new');
  });

  test('that is missing', () =>
    inTemporaryFolder((folder) =>
      expectFailure(readConfig(folder), ModelError, /has no config\.json$/, /model folder holds/),
    ));

  test.each<[string, string | Uint8Array, RegExp]>([
    ['is not JSON', '{"hidden_size": 768', /config\.json is not JSON/],
    ['is empty', '', /config\.json is not JSON/],
    ['is not UTF-8', Uint8Array.of(0x7b, 0xff, 0x7d), /config\.json is not UTF-8/],
    ['is a list', '[]', /holds \[\], where a JSON object/],
    ['is null', 'null', /holds null, where a JSON object/],
    ['is of nothing', '{}', /neither model_type nor hidden_size/],
    ['is of another model', '{"model_type":"roberta"}', /model_type is "roberta", not "bert"/],
    ['is of no model', '{"model_type":null,"hidden_size":768}', /model_type is null/],
    [
      'has relative positions',
      '{"model_type":"bert","position_embedding_type":"relative_key"}',
      /is "relative_key", not/,
    ],
    ['is of a decoder', '{"model_type":"bert","is_decoder":true}', /is_decoder is true/],
    ['attends across', '{"model_type":"bert","add_cross_attention":true}', /add_cross_attention is true/],
  ])('that %s', (_, text, message) => refused(text, message));

  test.each<[string, unknown, RegExp]>([
    ['hidden_size', 770, /hidden_size 770 does not divide among 12 attention heads/],
    ['hidden_size', 0, /hidden_size is 0, where a whole number from 1/],
    ['hidden_size', -768, /hidden_size is -768/],
    ['hidden_size', 768.5, /hidden_size is 768\.5/],
    ['hidden_size', '768', /hidden_size is "768"/],
    ['vocab_size', 2 ** 31, /vocab_size is 2147483648/],
    ['num_attention_heads', 0, /num_attention_heads is 0/],
    ['num_hidden_layers', [12], /num_hidden_layers is \[12\]/],
    ['layer_norm_eps', -1, /layer_norm_eps is -1/],
    ['layer_norm_eps', '1e-12', /layer_norm_eps is "1e-12"/],
    ['hidden_act', 'silu', /hidden_act is "silu", which has no kernel/],
    ['hidden_act', 'toString', /hidden_act is "toString"/],
    ['hidden_act', 1, /hidden_act is 1/],
  ])('whose %s is %j', (key, value, message) => refused(JSON.stringify({ model_type: 'bert', [key]: value }), message));

  test('an unknown activation is answered with those that are known', () =>
    refused('{"model_type":"bert","hidden_act":"silu"}', /silu/, /gelu, relu, gelu_new, gelu_pytorch_tanh/));
});

describe('tensor names', () => {
  const having = (...names: string[]): { has(name: string): boolean } => new Set(names);

  test('with the prefix of a model with a head, and LayerNorm as TensorFlow names it', () => {
    const names = bertNames(
      having(
        'bert.embeddings.word_embeddings.weight',
        'bert.embeddings.LayerNorm.gamma',
        'bert.encoder.layer.3.output.LayerNorm.gamma',
      ),
    );
    expect(names.embeddings.layerNorm.bias).toBe('bert.embeddings.LayerNorm.beta');
    expect(names.layer(3).outputLayerNorm.weight).toBe('bert.encoder.layer.3.output.LayerNorm.gamma');
    expect(names.layer(3).query.weight).toBe('bert.encoder.layer.3.attention.self.query.weight');
  });

  test('of the bare encoder, and LayerNorm as PyTorch names it', () => {
    const names = bertNames(having('embeddings.word_embeddings.weight'));
    expect(names.embeddings.position).toBe('embeddings.position_embeddings.weight');
    expect(names.layer(0).attentionLayerNorm.bias).toBe('encoder.layer.0.attention.output.LayerNorm.bias');
  });
});
