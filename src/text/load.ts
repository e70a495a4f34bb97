/** Node only: the tokenizer of a model folder in Hugging Face's layout. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ModelError } from '../errors.ts';
import { isObject, type JsonObject } from './json.ts';
import { Tokenizer } from './tokenizer.ts';

/** By the names of tokenizer_config.json, in the order in which older vocabularies list them. */
const SPECIAL_TOKENS = {
  pad_token: '[PAD]',
  unk_token: '[UNK]',
  cls_token: '[CLS]',
  sep_token: '[SEP]',
  mask_token: '[MASK]',
};

/**
 * Reads tokenizer.json and, where it is there, tokenizer_config.json. A folder of older days that has only vocab.txt gets
 * the tokenizer.json that Hugging Face's converter would write for it.
 *
 * @throws {ModelError} naming the file that is missing, unreadable, malformed, or no tokenizer of BERT's kind
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const configFile = join(folder, 'tokenizer_config.json');
  const configText = await readText(configFile);
  const config = configText === null ? undefined : parseJson(configText, configFile);

  const tokenizerFile = join(folder, 'tokenizer.json');
  const tokenizerText = await readText(tokenizerFile);
  if (tokenizerText !== null) return Tokenizer.fromJson(parseJson(tokenizerText, tokenizerFile), config, tokenizerFile);

  const vocabFile = join(folder, 'vocab.txt');
  const vocab = await readText(vocabFile);
  if (vocab === null) {
    throw new ModelError(`no tokenizer: neither tokenizer.json nor vocab.txt in ${folder}`, {
      hint: 'A model folder holds one of these beside config.json and the weights.',
    });
  }
  return Tokenizer.fromJson(tokenizerJsonOf(vocab, isObject(config) ? config : {}, vocabFile), config, vocabFile);
}

/**
 * The tokenizer.json of a vocabulary with one token a line, whose number from 0 is its id.
 *
 * @param config tokenizer_config.json: special tokens, do_lower_case, strip_accents, tokenize_chinese_chars
 * @param source name of the vocabulary's file, for messages
 * @throws {ModelError} where the vocabulary lacks a special token that every sequence needs
 */
export function tokenizerJsonOf(vocabulary: string, config: JsonObject, source: string): JsonObject {
  const lines = vocabulary.replace(/\r?\n$/, '').split(/\r?\n/);
  const ids = new Map(lines.map((token, id) => [token, id]));
  const name = (key: keyof typeof SPECIAL_TOKENS): string => {
    const token = config[key];
    const content = isObject(token) ? token['content'] : token;
    return typeof content === 'string' ? content : SPECIAL_TOKENS[key];
  };
  const required = (key: 'cls_token' | 'sep_token'): [string, number] => {
    const id = ids.get(name(key));
    if (id === undefined) throw new ModelError(`vocabulary cannot be used: no ${name(key)} in ${source}`);
    return [name(key), id];
  };
  const keys = Object.keys(SPECIAL_TOKENS) as (keyof typeof SPECIAL_TOKENS)[];
  return {
    added_tokens: keys
      .map(name)
      .filter((content) => ids.has(content))
      .map((content) => ({ id: ids.get(content), content, special: true, normalized: false })),
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: config['tokenize_chinese_chars'] ?? true,
      strip_accents: config['strip_accents'] ?? null,
      lowercase: config['do_lower_case'] ?? true,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', cls: required('cls_token'), sep: required('sep_token') },
    model: { type: 'WordPiece', vocab: Object.fromEntries(ids), unk_token: name('unk_token') },
  };
}

/** A file's text; null where there is no such file. */
async function readText(file: string): Promise<string | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new ModelError(`tokenizer cannot be read: ${code ?? message} on ${file}`, { cause });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ModelError(`tokenizer cannot be read: no UTF-8 text in ${file}`, { cause });
  }
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`tokenizer cannot be read: invalid JSON in ${file}: ${(cause as Error).message}`, {
      hint: 'A download that was cut off leaves such a file; fetch it again.',
      cause,
    });
  }
}
