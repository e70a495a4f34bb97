import { ModelError } from '../errors.ts';
import { quoted } from './json.ts';

/** Every dtype of the safetensors format, with the bits of one element (F4 and the F6 pack several into a byte). */
export const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;
export type Dtype = keyof typeof DTYPE_BITS;

/** The dtypes that weights are taken from. Each but F64 widens to float32 exactly. */
export const WEIGHT_DTYPES = ['F32', 'F16', 'BF16', 'F64'] as const;
export type WeightDtype = (typeof WEIGHT_DTYPES)[number];

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(DTYPE_BITS, name);
}

/**
 * The dtype of a tensor that weights are to be taken from.
 * @throws ModelError where it is none of WEIGHT_DTYPES
 */
export function weightDtype(tensor: { name: string; file: string; dtype: Dtype }): WeightDtype {
  const found = WEIGHT_DTYPES.find((dtype) => dtype === tensor.dtype);
  if (found !== undefined) return found;
  const usable = WEIGHT_DTYPES.join(', ');
  throw new ModelError(
    `tensor ${quoted(tensor.name)} of ${tensor.file} is stored as ${tensor.dtype}; weights are read from ${usable}`,
    { hint: 'Take the model as float32, float16 or bfloat16, not quantised.' },
  );
}

/**
 * Widens elements as they lie in a file (little-endian) to float32: F32, F16 and BF16 exactly, with denormals, ±0, ±∞
 * and the payload of NaNs; F64 rounded to nearest, ties to even.
 * @param bytes `count` elements
 * @param out the first `count` are written
 */
export function widenToF32(dtype: WeightDtype, bytes: Uint8Array, out: Float32Array, count: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A float32 store may quieten a signalling NaN, so all but F64 moves as bits.
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  switch (dtype) {
    case 'F32':
      for (let i = 0; i < count; i++) bits[i] = view.getUint32(4 * i, true);
      break;
    case 'F16':
      for (let i = 0; i < count; i++) bits[i] = F16_TO_F32_BITS[view.getUint16(2 * i, true)] as number;
      break;
    case 'BF16':
      for (let i = 0; i < count; i++) bits[i] = view.getUint16(2 * i, true) << 16;
      break;
    case 'F64':
      for (let i = 0; i < count; i++) out[i] = view.getFloat64(8 * i, true);
      break;
  }
}

/** float32 bits of each of the 65,536 float16 values (IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits). */
const F16_TO_F32_BITS = Uint32Array.from({ length: 65_536 }, (_, half) => {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f80_0000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // fraction · 2⁻²⁴ is a normal float32: its leading bit becomes the implicit one.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
});
