import { randomBytes } from 'node:crypto';

/** Files of a model that is small enough to be downloaded hundreds of times; nobody reads its weights. */
export function modelFiles(weightBytes = 300_000): Record<string, Buffer> {
  return {
    'config.json': Buffer.from('{"model_type":"bert","num_hidden_layers":2}'),
    'tokenizer.json': Buffer.from('{"model":{"type":"WordPiece"}}'),
    'tokenizer_config.json': Buffer.from('{"do_lower_case":true}'),
    'vocab.txt': Buffer.from('[PAD]\n[UNK]\n'),
    'model.safetensors': randomBytes(weightBytes),
    // What a pull must leave alone.
    'README.md': Buffer.from('# model'),
    'pytorch_model.bin': randomBytes(64),
    'onnx/model.onnx': randomBytes(64),
  };
}

/** The same model with its weights in `count` shards. */
export function shardedFiles(count: number): Record<string, Buffer> {
  const { 'model.safetensors': whole, ...files } = modelFiles(1000);
  const shards = Array.from({ length: count }, (_, i) => `model-0000${i + 1}-of-0000${count}.safetensors`);
  const weightMap = Object.fromEntries(
    shards.flatMap((name, i) => [
      [`layer.${i}.weight`, name],
      [`layer.${i}.bias`, name],
    ]),
  );
  return {
    ...files,
    'model.safetensors.index.json': Buffer.from(
      JSON.stringify({ metadata: { total_size: whole.length }, weight_map: weightMap }),
    ),
    ...Object.fromEntries(shards.map((name) => [name, randomBytes(20_000)])),
  };
}
