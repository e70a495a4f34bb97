import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { TEXT, alterConfig, alterTensor, analyze, expectFailure, tinyModel } from './support.ts';
import type { MODELS } from './support.ts';

const NAN = { F32: 0x7fc00000, F16: 0x7e00, BF16: 0x7fc0 };
const MINUS_INFINITY = { F32: 0xff800000, F16: 0xfc00, BF16: 0xff80 };
const HUGE = { F32: 0x7e967699, F16: 0x7bff, BF16: 0x7e96 }; // 1e38, or the largest float16

// fault 18
describe('NaN and infinity in the weights: the tensor and the element', () => {
  const cases: [keyof typeof MODELS, string, keyof typeof bits, number][] = [
    ['F16', 'embeddings.word_embeddings.weight', 'NaN', 9 * 36 - 1], // the row of "fox"; a row that no text uses does no harm
    ['F16', 'encoder.layer.0.attention.self.key.weight', 'infinity', 7],
    ['BF16', 'bert.encoder.layer.3.attention.self.value.weight', 'NaN', 64 * 64 - 1],
    ['BF16', 'bert.encoder.layer.7.output.dense.weight', 'infinity', 0],
    ['F32', 'encoder.layer.2.intermediate.dense.weight', 'NaN', 100 * 48 - 1],
    ['F32', 'encoder.layer.5.attention.output.LayerNorm.bias', 'infinity', 47],
  ];
  const bits = { NaN: NAN, infinity: MINUS_INFINITY };
  test.each(cases)('%s: %s, %s at %i', async (dtype, tensor, what, at) => {
    const model = tinyModel(dtype);
    alterTensor(model, tensor, bits[what], at);
    expectFailure(
      await analyze(model, [TEXT]),
      3,
      new RegExp(
        `the weights hold NaN or infinity: tensor ${tensor.replaceAll('.', '\\.')}, element ${at}\\. The file`,
      ),
    );
  });
});

test('weights of a layer past the one asked for are not looked at', async () => {
  const model = tinyModel('F16');
  alterTensor(model, 'encoder.layer.3.output.dense.weight', NAN);
  const { code, stderr } = await analyze(model, ['--layer', '3', TEXT]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

// fault 60
test('a state that overflows: the token and the first layer, and no result', async () => {
  const model = tinyModel('F32');
  alterTensor(model, 'encoder.layer.4.intermediate.dense.weight', HUGE);
  expectFailure(
    await analyze(model, ['--format', 'json', TEXT]),
    8,
    /token 0 \("\[CLS\]"\) of text "0" has a state that is not finite from layer 5 on: TAS (NaN|-?Infinity)/,
  );
});

// fault 17
test('a token past the word embeddings: the token, its id and the number of rows', async () => {
  const model = tinyModel('F16');
  const words = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', ...Array.from({ length: 60 }, (_, i) => `word${i}`), 'fox'];
  writeFileSync(join(model, 'vocab.txt'), `${words.join('\n')}\n`);
  expectFailure(await analyze(model, ['A fox.']), 3, /"fox".* 64\b.* 50\b/);
});

// fault 16
test('a layer that the model does not have: how many it has', async () => {
  const model = tinyModel('F16');
  expectFailure(await analyze(model, ['--layer', '9', TEXT]), 3, /layer 9: the model tiny has 8 encoder layers/);
  alterConfig(model, { num_hidden_layers: 2 });
  expectFailure(await analyze(model, [TEXT]), 3, /layer 8: the model tiny has 2 encoder layers/);
});
