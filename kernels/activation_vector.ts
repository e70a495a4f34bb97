// activation_vector: the activations as functions of four components, for the epilogue of linear_subgroup
//
// Maths     gelu(v) = v / 2 · (1 + erf(v / √2)); gelu_new(v) = v / 2 · (1 + tanh(√(2/π) (v + 0.044715 v³))); relu(v) = max(v, 0)
// Method    As in gelu.wgsl, gelu_new.wgsl and relu.wgsl, which say where the formulas and coefficients are from.
// Twin      kernels/twins/gelu.ts, kernels/twins/gelu_new.ts, kernels/twins/relu.ts

export type VectorActivation = 'none' | 'gelu' | 'gelu_new' | 'relu';

/** Coefficients of erf's two pieces, highest power first; see gelu.wgsl. */
const NEAR = ['-5.96761703e-4', '4.99119423e-3', '-2.67681349e-2', '1.12819925e-1', '-3.76125336e-1', '1.28379166e-1'];
const FAR = [
  '-1.72853470e-5',
  '3.83197126e-4',
  '-3.88396438e-3',
  '2.42546219e-2',
  '-1.06777877e-1',
  '-6.34846687e-1',
  '-1.28717512e-1',
];

function horner(coefficients: readonly string[], x: string): string {
  return coefficients
    .slice(1)
    .reduce((sum, coefficient) => `(${sum} * ${x} + ${coefficient})`, `vec4f(${coefficients[0]})`);
}

const FUNCTIONS: Record<VectorActivation, string> = {
  none: '',
  relu: '\nfn relu(v: vec4f) -> vec4f { return select(v, vec4f(), v < vec4f()); }\n',
  gelu: `
fn erf(v: vec4f) -> vec4f {
  let t = min(abs(v), vec4f(10.0)); // erf(10) is 1 in float32, and the polynomials stay finite
  let s = t * t;
  let near = v + v * ${horner(NEAR, 's')};
  let far = sign(v) * (1.0 - exp(${horner(FAR, 't')} * t - t));
  return select(near, far, t > vec4f(0.927734375));
}

fn gelu(v: vec4f) -> vec4f { return 0.5 * v * (1.0 + erf(v * 0.70710678118654752)); }
`,
  gelu_new: `
fn gelu_new(x: vec4f) -> vec4f {
  let v = clamp(x, vec4f(-20.0), vec4f(20.0)); // beyond 20 the gate is 0 or 1, and x³ could overflow
  let u = 0.79788456080286536 * (v + 0.044715 * v * v * v);
  let e = exp(-2.0 * abs(u));
  return x * (select(vec4f(1.0), e, u < vec4f()) / (1.0 + e));
}
`,
};

/** WGSL of the function that is called as the activation is; empty for `none`. */
export function activationFunction(activation: VectorActivation): string {
  return FUNCTIONS[activation];
}
