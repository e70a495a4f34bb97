import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { loadTokenizer } from '../../src/text/load.ts';
import { apply, editsOf, fromLatin1, jsonFragments, toLatin1 } from './edits.ts';
import type { Target } from './target.ts';

const TOKENIZER = {
  added_tokens: [
    { id: 1, content: '[CLS]', special: true, normalized: false },
    { id: 5, content: '<x>', special: false, normalized: true, lstrip: true, rstrip: false, single_word: true },
  ],
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: { type: 'BertProcessing', cls: ['[CLS]', 1], sep: ['[SEP]', 2] },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: { '[UNK]': 0, '[CLS]': 1, '[SEP]': 2, a: 3, '##b': 9 },
  },
};
const TEMPLATE = {
  ...TOKENIZER,
  post_processor: {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '[CLS]', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: { '[CLS]': { id: '[CLS]', ids: [1], tokens: ['[CLS]'] } },
  },
};
const encoder = new TextEncoder();
const TOKENIZERS = [TOKENIZER, TEMPLATE].map((json) => encoder.encode(JSON.stringify(json)));
const VOCABULARIES = ['[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##b\n', '[UNK]\r\n[CLS]\r\n[SEP]\r\n\r\na'].map((text) =>
  encoder.encode(text),
);
const CONFIGS = [
  '{"do_lower_case":false,"model_max_length":512}',
  '{"cls_token":{"content":"a"},"strip_accents":true}',
].map((text) => encoder.encode(text));
const FRAGMENTS = jsonFragments('[CLS] [UNK] ## "##" "Lowercase" "Sequence" vocab id content 4294967295 \\n cls_token');
const TEXTS = ['', 'a ab <x>a 🦊 [CLS] \ud800 é', 'A\0b'];

const edited = (files: readonly Uint8Array[]): fc.Arbitrary<string> =>
  editsOf(files.length).map(({ file, edits }) => toLatin1(apply(files[file], edits, FRAGMENTS)));

/** The files of a tokenizer: tokenizer.json or vocab.txt, with tokenizer_config.json or without. */
export const tokenizers: Target<Record<string, string>> = {
  name: 'tokenizers',
  runs: { full: 100_000, short: 2500 },
  inputs: fc.oneof(
    { weight: 3, arbitrary: edited(TOKENIZERS).map((text) => ({ 'tokenizer.json': text })) },
    fc
      .record({ vocabulary: edited(VOCABULARIES), config: edited(CONFIGS) })
      .map(({ vocabulary, config }) => ({ 'vocab.txt': vocabulary, 'tokenizer_config.json': config })),
  ),
  async take(files) {
    folder ??= temporaryFolder();
    for (const name of ['tokenizer.json', 'vocab.txt', 'tokenizer_config.json']) {
      if (files[name] === undefined) rmSync(join(folder, name), { force: true });
      else writeFileSync(join(folder, name), fromLatin1(files[name]));
    }
    const tokenizer = await loadTokenizer(folder);
    for (const text of TEXTS) {
      const { ids, tokens } = tokenizer.encode(text);
      if (ids.length !== tokens.length) throw new Error(`${ids.length} ids of ${tokens.length} tokens`);
      for (const [i, id] of ids.entries()) {
        const inside = Number.isSafeInteger(id) && id >= 0 && id < tokenizer.vocabSize;
        if (!inside || tokenizer.idToToken(id) === undefined) throw new Error(`token ${tokens[i]} has the id ${id}`);
      }
    }
  },
};

/** One for all inputs: to make it takes longer than to read it. */
let folder: string | undefined;

function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'layer8-fuzz-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}
