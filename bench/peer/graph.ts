/**
 * BERT's first layers as an ONNX graph, made of the fused operators that onnxruntime's own transformer optimizer makes of
 * BERT, so that the peer runs the best graph it has. Output: TAS, the L2 norm of every token's state after the last layer.
 *
 *   input_ids, token_type_ids [B, T] int32 (+ attention_bias [B, 1, T, T] float32 in the masked graph)
 *     → EmbedLayerNormalization → layers × (Attention, MatMul, SkipLayerNormalization, MatMul, BiasGelu, MatMul,
 *       SkipLayerNormalization) → ReduceL2 over hidden → tas [B, T]
 *
 * Padding is masked by an additive bias (0 or -10000, as BERT's own code has it) because onnxruntime's WebGPU Attention
 * has no `mask_index`. Batches whose sequences are all of one length use the graph without it, which has less to do.
 *
 * On WebGPU, Attention is a FlashAttention kernel that shuffles within subgroups. On lavapipe, whose subgroups have 8
 * lanes, its results are wrong from some 32 tokens on: TAS is off by 0.04. It is chosen where the heads of the values are
 * as wide as those of the queries. So every graph comes a second time with heads of the values that are widened from 64
 * to 68 by zeros, which Attention computes by its other kernels, and rightly. It costs 3 % more multiply-adds.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import onnxProto from 'onnx-proto';
import { ExternalData, type Tensor } from './external.ts';
import { concatenated, openWeights, transposed, widerHeads, type Weight } from './weights.ts';

const { onnx } = onnxProto;
type Node = InstanceType<typeof onnx.NodeProto>;

/** ONNX's numbers for what this graph uses. */
const FLOAT = onnx.TensorProto.DataType.FLOAT;
const INT32 = onnx.TensorProto.DataType.INT32;
const { INT, INTS, FLOAT: FLOAT_ATTRIBUTE } = onnx.AttributeProto.AttributeType;

/** How often each operator must occur in a graph of `layers` layers; anything else would not be the fused graph. */
export const operatorCounts = (layers: number): Record<string, number> => ({
  EmbedLayerNormalization: 1,
  Attention: layers,
  MatMul: 3 * layers,
  BiasGelu: layers,
  SkipLayerNormalization: 2 * layers,
  ReduceL2: 1,
});

/** Zeros that widen a value's head where FlashAttention is not to be used: four, to keep the width a multiple of four. */
const HEAD_PADDING = 4;

/** Which of a model's graphs. */
export interface GraphKind {
  masked: boolean;
  /** Whether Attention may take its FlashAttention kernel. */
  flash: boolean;
}

/** File name of a graph. All graphs share `weights.bin`. */
export const graphFile = ({ masked, flash }: GraphKind): string =>
  `${masked ? 'masked' : 'plain'}${flash ? '' : '-no-flash'}.onnx`;

/**
 * Builds the graphs of the first `layers` layers of the model in `folder`, or finds them in `cache` from an earlier run.
 * The cache's key covers the weight files and this file, so a change of either builds anew.
 * @returns the folder of the graphs
 */
export function buildGraphs(folder: string, layers: number, cache: string): string {
  const hash = createHash('sha256')
    .update(readFileSync(new URL(import.meta.url)))
    .update(String(layers));
  const index = readFileSync(join(folder, 'model.safetensors.index.json'), 'utf8');
  hash.update(index).update(readFileSync(join(folder, 'config.json')));
  for (const file of new Set<string>(Object.values(JSON.parse(index).weight_map))) {
    const stat = statSync(join(folder, file), { throwIfNoEntry: false });
    if (stat) hash.update(`${file} ${stat.size} ${stat.mtimeMs}`);
  }
  const home = join(cache, `onnx-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(home)) return home;

  // The weights are 400 MB: those of an earlier version of the weights or of this file are not kept.
  mkdirSync(cache, { recursive: true });
  for (const name of readdirSync(cache)) {
    if (/^onnx-[0-9a-f]{16}$/.test(name)) rmSync(join(cache, name), { recursive: true });
  }
  const draft = `${home}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  const weights = new ExternalData(join(draft, 'weights.bin'));
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  addWeights(weights, openWeights(folder), layers, config.num_attention_heads);
  weights.close();
  for (const masked of [false, true]) {
    for (const flash of [false, true]) {
      const kind = { masked, flash };
      writeFileSync(join(draft, graphFile(kind)), encodeGraph(config, layers, weights.tensors, kind));
    }
  }
  try {
    renameSync(draft, home);
  } catch (error) {
    rmSync(draft, { recursive: true });
    if (!existsSync(home)) throw error; // another process built the same graphs first
  }
  return home;
}

function addWeights(into: ExternalData, get: (name: string) => Weight, layers: number, heads: number): void {
  const embeddings = 'bert.embeddings.';
  for (const table of ['word', 'position', 'token_type']) {
    into.add(`${table}_embeddings`, get(`${embeddings}${table}_embeddings.weight`));
  }
  for (const part of ['gamma', 'beta']) into.add(`embeddings.${part}`, get(`${embeddings}LayerNorm.${part}`));
  for (let l = 0; l < layers; l++) {
    const layer = `bert.encoder.layer.${l}.`;
    const [query, key, value] = ['query', 'key', 'value'].map((name) => ({
      weight: get(`${layer}attention.self.${name}.weight`),
      bias: get(`${layer}attention.self.${name}.bias`),
    }));
    const wider = (weight: Weight) => widerHeads(weight, heads, HEAD_PADDING);
    into.add(`${l}.qkv.weight`, transposed(query.weight, key.weight, value.weight));
    into.add(`${l}.qkv.bias`, concatenated(query.bias, key.bias, value.bias));
    into.add(`${l}.qkv-wider.weight`, transposed(query.weight, key.weight, wider(value.weight)));
    into.add(`${l}.qkv-wider.bias`, concatenated(query.bias, key.bias, wider(value.bias)));
    into.add(`${l}.attention-wider.weight`, wider(transposed(get(`${layer}attention.output.dense.weight`))));
    for (const [name, source] of [
      ['attention', 'attention.output'],
      ['output', 'output'],
    ]) {
      into.add(`${l}.${name}.weight`, transposed(get(`${layer}${source}.dense.weight`)));
      into.add(`${l}.${name}.bias`, get(`${layer}${source}.dense.bias`));
      for (const part of ['gamma', 'beta'])
        into.add(`${l}.${name}.${part}`, get(`${layer}${source}.LayerNorm.${part}`));
    }
    into.add(`${l}.intermediate.weight`, transposed(get(`${layer}intermediate.dense.weight`)));
    into.add(`${l}.intermediate.bias`, get(`${layer}intermediate.dense.bias`));
  }
}

interface Config {
  hidden_size: number;
  num_attention_heads: number;
  layer_norm_eps: number;
}

function encodeGraph(config: Config, layers: number, tensors: Tensor[], { masked, flash }: GraphKind): Uint8Array {
  const node: Node[] = [];
  const domains: Record<string, string> = { MatMul: '', ReduceL2: '' };
  const add = (opType: string, input: string[], output: string, attribute: object[] = []): string => {
    node.push(
      onnx.NodeProto.create({
        name: output,
        opType,
        domain: domains[opType] ?? 'com.microsoft',
        input,
        output: [output],
        attribute,
      }),
    );
    return output;
  };
  const epsilon = { name: 'epsilon', type: FLOAT_ATTRIBUTE, f: config.layer_norm_eps };
  const integer = (name: string, i: number) => ({ name, type: INT, i });
  const attentionAttributes: object[] = [integer('num_heads', config.num_attention_heads)];
  if (!flash) {
    const width = config.hidden_size + config.num_attention_heads * HEAD_PADDING;
    attentionAttributes.push({
      name: 'qkv_hidden_sizes',
      type: INTS,
      ints: [config.hidden_size, config.hidden_size, width],
    });
  }

  let state = add(
    'EmbedLayerNormalization',
    [
      'input_ids',
      'token_type_ids',
      'word_embeddings',
      'position_embeddings',
      'token_type_embeddings',
      'embeddings.gamma',
      'embeddings.beta',
    ],
    'embeddings',
    [epsilon],
  );
  // The operator's second output has no default; it is not used.
  node[0].output.push('mask_index');
  for (let l = 0; l < layers; l++) {
    const w = (name: string) => `${l}.${name}`;
    const bias = masked ? ['', '', 'attention_bias'] : [];
    const wide = flash ? '' : '-wider';
    const inputs = [state, w(`qkv${wide}.weight`), w(`qkv${wide}.bias`), ...bias];
    const context = add('Attention', inputs, w('context'), attentionAttributes);
    const attended = add('MatMul', [context, w(`attention${wide}.weight`)], w('attended'));
    const norm = (input: string, skip: string, name: string) =>
      add(
        'SkipLayerNormalization',
        [input, skip, w(`${name}.gamma`), w(`${name}.beta`), w(`${name}.bias`)],
        w(`${name}.state`),
        [epsilon],
      );
    const attention = norm(attended, state, 'attention');
    const expanded = add('MatMul', [attention, w('intermediate.weight')], w('expanded'));
    const activated = add('BiasGelu', [expanded, w('intermediate.bias')], w('activated'));
    state = norm(add('MatMul', [activated, w('output.weight')], w('contracted')), attention, 'output');
  }
  add('ReduceL2', [state], 'tas', [{ name: 'axes', type: INTS, ints: [-1] }, integer('keepdims', 0)]);
  assertCounts(node, layers);

  const value = (name: string, elemType: number, dims: (string | number)[]) =>
    onnx.ValueInfoProto.create({
      name,
      type: {
        tensorType: {
          elemType,
          shape: { dim: dims.map((dim) => (typeof dim === 'string' ? { dimParam: dim } : { dimValue: dim })) },
        },
      },
    });
  const input = [value('input_ids', INT32, ['B', 'T']), value('token_type_ids', INT32, ['B', 'T'])];
  if (masked) input.push(value('attention_bias', FLOAT, ['B', 1, 'T', 'T']));
  const used = new Set(node.flatMap((operator) => operator.input));
  const initializer = tensors.filter(({ name }) => used.has(name));
  const graph = onnx.GraphProto.create({
    name: 'bert',
    node,
    input,
    output: [value('tas', FLOAT, ['B', 'T'])],
    initializer,
  });
  return onnx.ModelProto.encode(
    onnx.ModelProto.create({
      irVersion: 8,
      producerName: 'layer8-bench',
      opsetImport: [
        { domain: '', version: 17 },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph,
    }),
  ).finish();
}

function assertCounts(nodes: Node[], layers: number): void {
  const counts: Record<string, number> = {};
  for (const { opType } of nodes) counts[opType] = (counts[opType] ?? 0) + 1;
  const expected = operatorCounts(layers);
  for (const name of new Set([...Object.keys(counts), ...Object.keys(expected)])) {
    if (counts[name] !== expected[name]) {
      throw new Error(
        `the peer's graph has ${counts[name] ?? 0} ${name}, not ${expected[name] ?? 0}: it is not the fused graph`,
      );
    }
  }
}
