// What the kernels that give a workgroup to each row share: the sum over its invocations.
//
// Eight invocations sum eight numbers each, and then every invocation those eight: two short steps, a barrier after each. A tree of
// halves would take six. subgroupAdd would save one step where an adapter has subgroups, of a kernel that waits for memory; without it, one
// text serves every adapter and the order of the sum is the same on all.

/** Invocations of a workgroup. */
export const LANES = 64;

/** WGSL of `total(own, lane)`: the sum of `own` over the workgroup, the same number in every invocation. Call it in uniform control flow. */
export const TOTAL = `var<workgroup> partial: array<f32, ${LANES + 8}>;

fn total(own: f32, lane: u32) -> f32 {
  partial[lane] = own; // what an earlier sum still reads lies behind these
  workgroupBarrier();
  if (lane < 8u) {
    var eighth = 0f;
    for (var i = 0u; i < ${LANES / 8}u; i++) { eighth += partial[lane + 8u * i]; }
    partial[${LANES}u + lane] = eighth;
  }
  workgroupBarrier();
  var sum = 0f;
  for (var i = 0u; i < 8u; i++) { sum += partial[${LANES}u + i]; }
  return sum;
}
`;
