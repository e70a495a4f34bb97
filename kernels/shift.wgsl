// shift: how far every token's state moved, by four measures
//
// Maths     c, p, f = current[s], previous[s], first[s]: a row of layers l, l − 1 and 0
//           shifts[s] = (‖c − p‖, ‖c‖ − ‖p‖, 1 − cos(c, p), ‖c − f‖)
// Shapes    current [S, H], previous [S, H], first [S, H], shifts [S, 4]: displacement, norm change, rotation, from input
// Dispatch  one invocation a row; workgroups of 64, grid [⌈S / 64⌉]
// Method    Nearly equal states must not cancel: ‖c‖ − ‖p‖ = Σ (c − p)(c + p) / (‖c‖ + ‖p‖), and 1 − cos(c, p) is half the squared
//           distance of the unit vectors (Kahan 2006, "How Futile are Mindless Assessments of Roundoff in Floating-Point
//           Computation?"). Sums in blocks of 32, as in l2_norm. A state of length 0 has no direction: its cosine is taken as 0
//           and its rotation as 1.
// Limits    Sums of squares overflow above 1.8e19.
// Twin      kernels/twins/shift.ts

const BLOCK = 32u;

struct Size {
  S: u32, // rows: tokens of all sequences
  H: u32, // hidden size
}

@group(0) @binding(0) var<uniform> size: Size;
@group(0) @binding(1) var<storage, read> current: array<f32>;
@group(0) @binding(2) var<storage, read> previous: array<f32>;
@group(0) @binding(3) var<storage, read> first: array<f32>;
@group(0) @binding(4) var<storage, read_write> shifts: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = id.x;
  if (s >= size.S) { return; }
  let row = s * size.H;
  let end = row + size.H;

  var lengths = vec2f(); // ‖c‖², ‖p‖²
  var moves = vec3f(); // ‖c − p‖², ‖c‖² − ‖p‖², ‖c − f‖²
  for (var i = row; i < end;) {
    let block_end = min(i + BLOCK, end);
    var block_lengths = vec2f();
    var block_moves = vec3f();
    for (; i < block_end; i++) {
      let c = current[i];
      let p = previous[i];
      let moved = c - p;
      let from_input = c - first[i];
      block_lengths += vec2f(c * c, p * p);
      block_moves += vec3f(moved * moved, moved * (c + p), from_input * from_input);
    }
    lengths += block_lengths;
    moves += block_moves;
  }
  let norm = sqrt(lengths);

  var apart = 0.0; // ‖c / ‖c‖ − p / ‖p‖‖²
  for (var i = row; i < end;) {
    let block_end = min(i + BLOCK, end);
    var block = 0.0;
    for (; i < block_end; i++) {
      let difference = current[i] / norm.x - previous[i] / norm.y;
      block += difference * difference;
    }
    apart += block;
  }

  let still = norm.x == 0.0 || norm.y == 0.0;
  shifts[4u * s] = sqrt(moves.x);
  shifts[4u * s + 1u] = select(moves.y / (norm.x + norm.y), norm.x - norm.y, still);
  shifts[4u * s + 2u] = select(0.5 * apart, 1.0, still);
  shifts[4u * s + 3u] = sqrt(moves.z);
}
