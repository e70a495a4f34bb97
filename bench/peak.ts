/** What the adapter can compute at best, in its own shaders: the measure that the ladder's rates are shares of. */
import type { Gpu } from '../src/gpu/device.ts';
import type { KernelSource } from '../src/gpu/kernel.ts';
import { Repeated, Tape } from './repeated.ts';

const WORKGROUP = 64;
const WORKGROUPS = 1024;
const UNROLLED = 16;
const TURNS = 32;

/** A chain of dependent multiply-adds waits for itself: so many side by side keep the units busy. */
const CHAINS = [8, 12] as const;
/** Drivers differ in which form they make the faster instructions of. */
const FORMS = { fma: 'fma(NAME, m, a)', 'multiply and add': 'NAME * m + a' } as const;

/** A way to write multiply-adds, ready to be timed. */
export interface PeakCandidate {
  /** How it is written: "8 chains of fma". */
  how: string;
  /** Floating-point operations of one dispatch, a multiply-add as two. */
  work: number;
  repeated: Repeated;
}

/** The candidates; the fastest one's rate is the peak. */
export async function peakCandidates(gpu: Gpu): Promise<PeakCandidate[]> {
  const candidates: PeakCandidate[] = [];
  for (const chains of CHAINS) {
    for (const [form, expression] of Object.entries(FORMS)) {
      const tape = new Tape(gpu);
      const y = tape.tensor('y', [WORKGROUP * WORKGROUPS]);
      tape.dispatch(gpu.kernel(multiplyAdds(chains, form, expression)), { y }, {}, [WORKGROUPS]);
      candidates.push({
        how: `${chains} chains of ${form}`,
        work: 2 * chains * UNROLLED * TURNS * WORKGROUP * WORKGROUPS,
        repeated: await Repeated.prepare(gpu, tape.calls),
      });
    }
  }
  return candidates;
}

/** Chains that differ between invocations, start from numbers no compiler knows, and all end in the result. */
function multiplyAdds(chains: number, form: string, expression: string): KernelSource {
  const names = Array.from({ length: chains }, (_, i) => `c${i}`);
  const step = names.map((name) => `${name} = ${expression.replace('NAME', name)};`).join(' ');
  const code = `@group(0) @binding(0) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3u) {
  let start = f32(id.x) * 1e-9f;
  let m = 0.5f + start;
  let a = 0.25f + start;
  ${names.map((name, i) => `var ${name} = start + ${i}f;`).join(' ')}
  for (var turn = 0u; turn < ${TURNS}u; turn++) {
    ${Array.from({ length: UNROLLED }, () => step).join('\n    ')}
  }
  y[id.x] = (${names.join(' + ')}) * 1e-9f;
}
`;
  return { name: `peak ${chains} ${form}`, code };
}
