import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ModelError } from '../../src/errors.ts';
import { loadTokenizer } from '../../src/text/load.ts';

const MODEL = fileURLToPath(new URL('../../weights/bert-base-uncased', import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'layer8-tokenizer-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** The failure of a folder with these files: its class, and the file its message names. */
async function failure(files: Record<string, string | Uint8Array>): Promise<ModelError> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const error: unknown = await loadTokenizer(folder).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ModelError);
  return error as ModelError;
}

const TINY = {
  added_tokens: [{ id: 1, content: '[CLS]', special: true, normalized: false }],
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
    vocab: { '[UNK]': 0, '[CLS]': 1, '[SEP]': 2, a: 3, '##b': 9 },
  },
};
const tiny = (changes: Record<string, unknown>): Record<string, string> => ({
  'tokenizer.json': JSON.stringify({ ...TINY, ...changes }),
});

test('the model that comes with the package', async () => {
  const tokenizer = await loadTokenizer(MODEL);
  expect(tokenizer.modelMaxLength).toBe(512);
  expect(tokenizer.vocabSize).toBe(30522);
  expect(tokenizer.idToToken(1996)).toBe('the');
  expect(tokenizer.idToToken(30522)).toBeUndefined();
});

test('tokenizer.json alone; ids with holes; no limit', async () => {
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(TINY));
  const tokenizer = await loadTokenizer(folder);
  expect(tokenizer.vocabSize).toBe(10);
  expect(tokenizer.modelMaxLength).toBe(Number.POSITIVE_INFINITY);
  expect([...tokenizer.encode('Ab x', { pair: 'a' }).ids]).toEqual([1, 3, 9, 0, 2, 3, 2]);
  expect([...tokenizer.encode('a', { pair: 'a' }).typeIds]).toEqual([0, 0, 0, 1, 1]);
});

test('no post-processor: no special tokens', async () => {
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify({ ...TINY, post_processor: null }));
  expect((await loadTokenizer(folder)).encode('ab').tokens).toEqual(['a', '##b']);
});

describe('vocab.txt without tokenizer.json', () => {
  const texts = ['Héllo, wörld! 日本 [MASK] 3.14', 'ÀÉ', 'a\u0000b\tc', 'don’t', ''];

  test('gives the same tokens as the tokenizer.json of the same model', async () => {
    const vocab = await readFile(join(MODEL, 'vocab.txt'), 'utf8');
    const expected = await loadTokenizer(MODEL);
    for (const ending of ['\n', '\r\n']) {
      await writeFile(join(folder, 'vocab.txt'), vocab.replaceAll('\n', ending));
      const tokenizer = await loadTokenizer(folder);
      expect(tokenizer.vocabSize).toBe(30522);
      for (const text of texts) {
        expect(tokenizer.encode(text)).toEqual(expected.encode(text));
        expect(tokenizer.encode(text, { pair: 'b' })).toEqual(expected.encode(text, { pair: 'b' }));
      }
    }
  });

  test('follows tokenizer_config.json', async () => {
    await writeFile(join(folder, 'vocab.txt'), '[PAD]\n<unk>\n<s>\n[SEP]\nA\na\né\n');
    const config = { do_lower_case: false, model_max_length: 64, unk_token: '<unk>', cls_token: { content: '<s>' } };
    await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer.modelMaxLength).toBe(64);
    expect(tokenizer.encode('A a é É <s>').tokens).toEqual(['<s>', 'A', 'a', 'é', '<unk>', '<s>', '[SEP]']);
  });

  test('needs its special tokens', async () => {
    expect((await failure({ 'vocab.txt': '[UNK]\n[SEP]\na\n' })).message).toContain('no [CLS] in');
    expect((await failure({ 'vocab.txt': '[CLS]\n[SEP]\na\n' })).message).toContain('no unknown token [UNK] in');
  });
});

describe('refused, naming the file', () => {
  test('nothing there', async () => {
    const { message, hint } = await failure({});
    expect(message).toBe(`no tokenizer: neither tokenizer.json nor vocab.txt in ${folder}`);
    expect(hint).not.toBe('');
  });

  test.each([
    ['cut off', { 'tokenizer.json': '{"model": {' }, 'invalid JSON'],
    ['not UTF-8', { 'tokenizer.json': new Uint8Array([0x7b, 0xff, 0x7d]) }, 'no UTF-8 text'],
    ['a list', { 'tokenizer.json': '[]' }, 'no JSON object'],
    ['another model', tiny({ model: { type: 'BPE', vocab: {} } }), 'model "BPE"'],
    ['another normalizer', tiny({ normalizer: { type: 'NFC' } }), 'normalizer "NFC"'],
    ['no normalizer', tiny({ normalizer: null }), 'normalizer missing'],
    ['another pre-tokenizer', tiny({ pre_tokenizer: { type: 'ByteLevel' } }), 'pre_tokenizer "ByteLevel"'],
    [
      'another post-processor',
      tiny({ post_processor: { type: 'RobertaProcessing' } }),
      'post-processor "RobertaProcessing"',
    ],
    ['a flag that is none', tiny({ normalizer: { type: 'BertNormalizer', lowercase: 'no' } }), 'normalizer.lowercase'],
    ['no vocabulary', tiny({ model: { type: 'WordPiece' } }), 'vocab is missing'],
    ['a negative id', tiny({ model: { type: 'WordPiece', vocab: { '[UNK]': -1 } } }), 'id of "[UNK]" is -1'],
    ['an id beyond reason', tiny({ model: { type: 'WordPiece', vocab: { '[UNK]': 1e12 } } }), 'id of "[UNK]"'],
    ['no unknown token', tiny({ model: { type: 'WordPiece', vocab: { a: 0 } } }), 'no unknown token [UNK]'],
    [
      'words of no length',
      tiny({ model: { ...TINY.model, max_input_chars_per_word: 0 } }),
      'max_input_chars_per_word is 0',
    ],
    ['a special token that is none', tiny({ post_processor: { ...TINY.post_processor, cls: ['[CLS]', 77] } }), 'id 77'],
    [
      'a template without the text',
      tiny({ post_processor: { type: 'TemplateProcessing', single: [], pair: [] } }),
      'post_processor.single',
    ],
    ['added tokens that are none', tiny({ added_tokens: [{ id: 4 }] }), 'without content'],
  ])('%s', async (_, files, message) => {
    const error = await failure(files as Record<string, string | Uint8Array>);
    expect(error.message).toContain(message);
    expect(error.message).toContain(join(folder, 'tokenizer.json'));
  });

  test('a broken tokenizer_config.json', async () => {
    expect((await failure({ ...tiny({}), 'tokenizer_config.json': '{' })).message).toContain(
      join(folder, 'tokenizer_config.json'),
    );
  });

  test('a folder in place of a file', async () => {
    await mkdir(join(folder, 'tokenizer.json'));
    expect((await failure({})).message).toBe(`tokenizer cannot be read: EISDIR on ${join(folder, 'tokenizer.json')}`);
  });
});
