import { openFolder } from '../checkpoint/checkpoint.ts';
import { quoted } from '../checkpoint/json.ts';
import { readText } from '../checkpoint/source.ts';
import type { ModelFolder } from '../checkpoint/source.ts';
import { ModelError } from '../errors.ts';

/** What the intermediate layer applies to each component. */
export type Activation = 'gelu' | 'gelu_new' | 'relu';

/** The numbers that make a BERT. Letters as in forward.ts. */
export interface BertConfig {
  /** For people: the folder's name, or what the caller says. */
  readonly name: string;
  /** H, components of a hidden state. */
  readonly hiddenSize: number;
  /** A. */
  readonly numAttentionHeads: number;
  /** D = H / A. */
  readonly headSize: number;
  /** I. */
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  /** V. */
  readonly vocabSize: number;
  /** The longest sequence, special tokens included. */
  readonly maxPositionEmbeddings: number;
  readonly typeVocabSize: number;
  readonly hiddenAct: Activation;
  readonly layerNormEps: number;
}

const CONFIG_FILE = 'config.json';
const MAX_CONFIG_BYTES = 10_000_000;

/** Names that transformers gives the activations that the kernels compute. The last two are one formula (tanh). */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  relu: 'relu',
  gelu_new: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
};

/**
 * Reads and checks `config.json` of a model folder.
 * @param folder a path, or a folder of another kind (`httpFolder`, `blobFolder`)
 * @throws ModelError where it is missing, invalid, or not of a BERT encoder; IoError
 */
export async function readConfig(folder: string | ModelFolder): Promise<BertConfig> {
  const opened = await openFolder(folder);
  const source = await opened.open(CONFIG_FILE);
  if (source === undefined) {
    throw new ModelError(`${opened.name} has no ${CONFIG_FILE}`, {
      hint: 'A model folder holds config.json, the vocabulary and the weights, as Hugging Face lays a model out.',
    });
  }
  try {
    const name = opened.name.split(/[/\\]/).findLast((part) => part !== '' && part !== '.') ?? opened.name;
    return parseConfig(await readText(source, MAX_CONFIG_BYTES), source.name, name);
  } finally {
    await source.close?.();
  }
}

/**
 * Checks the text of a `config.json`. A key that is absent has the default of transformers' BertConfig.
 * @param file what error messages call it
 * @param name the `name` of the result
 * @throws ModelError where it is invalid, or not of a BERT encoder
 */
export function parseConfig(text: string, file: string, name: string): BertConfig {
  const json = parseObject(text, file);
  checkArchitecture(json, file);

  const size = (key: string, byDefault: number): number => {
    const value = json[key] ?? byDefault;
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value < 2 ** 31) return value;
    throw new ModelError(`${file}: ${key} is ${show(value)}, where a whole number from 1 is needed`);
  };
  const hiddenSize = size('hidden_size', 768);
  const numAttentionHeads = size('num_attention_heads', 12);
  if (hiddenSize % numAttentionHeads !== 0) {
    throw new ModelError(
      `${file}: hidden_size ${hiddenSize} does not divide among ${numAttentionHeads} attention heads`,
      {
        hint: 'hidden_size has to be a multiple of num_attention_heads.',
      },
    );
  }
  return {
    name,
    hiddenSize,
    numAttentionHeads,
    headSize: hiddenSize / numAttentionHeads,
    intermediateSize: size('intermediate_size', 3072),
    numHiddenLayers: size('num_hidden_layers', 12),
    vocabSize: size('vocab_size', 30522),
    maxPositionEmbeddings: size('max_position_embeddings', 512),
    typeVocabSize: size('type_vocab_size', 2),
    hiddenAct: activation(json['hidden_act'] ?? 'gelu', file),
    layerNormEps: epsilon(json['layer_norm_eps'] ?? 1e-12, file),
  };
}

function parseObject(text: string, file: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ModelError(`${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new ModelError(`${file} holds ${show(json)}, where a JSON object is needed`);
  }
  return json as Record<string, unknown>;
}

/** Refuses what would load, or nearly, and compute something else. */
function checkArchitecture(json: Record<string, unknown>, file: string): void {
  const refuse = (what: string): never => {
    throw new ModelError(`${file}: ${what}`, {
      hint: 'Layer8 runs BERT encoders: model_type "bert", absolute positions, no decoder.',
    });
  };
  const modelType = json['model_type'];
  // Google's own bert_config.json has no model_type; an empty or foreign file has no hidden_size either.
  if (modelType === undefined && !('hidden_size' in json)) refuse('it has neither model_type nor hidden_size');
  if (modelType !== undefined && modelType !== 'bert') refuse(`model_type is ${show(modelType)}, not "bert"`);
  const positions = json['position_embedding_type'] ?? 'absolute';
  if (positions !== 'absolute') refuse(`position_embedding_type is ${show(positions)}, not "absolute"`);
  for (const key of ['is_decoder', 'add_cross_attention']) {
    const value = json[key] ?? false;
    if (value !== false) refuse(`${key} is ${show(value)}: it attends as a decoder does`);
  }
}

function activation(value: unknown, file: string): Activation {
  const known = typeof value === 'string' && Object.hasOwn(ACTIVATIONS, value) ? ACTIVATIONS[value] : undefined;
  if (known !== undefined) return known;
  throw new ModelError(`${file}: hidden_act is ${show(value)}, which has no kernel`, {
    hint: `It may be ${Object.keys(ACTIVATIONS).join(', ')}.`,
  });
}

function epsilon(value: unknown, file: string): number {
  if (typeof value === 'number' && value >= 0 && value < 1) return value;
  throw new ModelError(`${file}: layer_norm_eps is ${show(value)}, where a number from 0 to below 1 is needed`);
}

function show(value: unknown): string {
  return typeof value === 'string' ? quoted(value) : (JSON.stringify(value) ?? String(value)).slice(0, 60);
}
