/** Formats that models also come in, by how their files begin. */
const SIGNATURES: readonly (readonly [format: string, bytes: readonly number[]])[] = [
  ['a PyTorch pickle in a zip archive (.bin, .pt), or another zip archive', [0x50, 0x4b, 0x03, 0x04]],
  ['a Python pickle, as PyTorch writes .bin and .pt files', [0x80, 0x02]],
  ['a Python pickle', [0x80, 0x03]],
  ['a Python pickle', [0x80, 0x04]],
  ['a Python pickle', [0x80, 0x05]],
  ['a GGUF file, as llama.cpp uses', ascii('GGUF')],
  ['an HDF5 file, as TensorFlow and Keras write', [0x89, ...ascii('HDF')]],
  ['a Git LFS pointer, which stands for the file itself', ascii('version https://git-lfs')],
  ['a web page', ascii('<!DOCTYPE')],
  ['a web page', ascii('<!doctype')],
  ['a web page', ascii('<html')],
];

/** Bytes that `recognizeFormat` wants to see, if the file has as many. */
export const SIGNATURE_LENGTH = 24;

/** What a file is that is no safetensors file, from its first bytes and its name; undefined where that is unknown. */
export function recognizeFormat(head: Uint8Array, fileName: string): string | undefined {
  for (const [format, bytes] of SIGNATURES) {
    if (bytes.every((byte, i) => head[i] === byte)) return format;
  }
  // ONNX is a protobuf message without a signature: field 1 (ir_version, a varint), then field 2 (producer_name).
  if (head[0] === 0x08 && (head[1] ?? 0xff) < 0x20 && head[2] === 0x12) return 'an ONNX file';
  return formatOfName(fileName);
}

/** The format that a file's name promises, where it is one that holds weights but no safetensors. */
export function formatOfName(fileName: string): string | undefined {
  const extension = /\.([a-z0-9]+)$/i.exec(fileName)?.[1]?.toLowerCase() ?? '';
  if (['bin', 'pt', 'pth', 'pkl', 'ckpt'].includes(extension)) return 'a PyTorch pickle';
  if (extension === 'gguf') return 'a GGUF file';
  if (extension === 'onnx') return 'an ONNX file';
  if (extension === 'h5') return 'an HDF5 file';
  if (extension === 'msgpack') return 'a Flax msgpack file';
  return undefined;
}

/** What to do about a file of another format. */
export const NEEDS_SAFETENSORS =
  'Layer8 reads safetensors only: take the model.safetensors of the same model, ' +
  'or convert it (in transformers: model.save_pretrained(folder), which writes safetensors).';

function ascii(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0));
}
