/**
 * The error function in float64, to a few ulp (Abramowitz & Stegun 1964): the series 7.1.6, whose terms are all positive, up to 3;
 * the continued fraction 7.1.14 of erfc beyond.
 */
export function erf(x: number): number {
  const t = Math.abs(x);
  return Math.sign(x) * (t < 3 ? series(t) : 1 - erfcFraction(t));
}

/** 2/√π · exp(−t²) · Σ_n 2ⁿ t²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)) */
function series(t: number): number {
  let term = t;
  let sum = t;
  for (let n = 1; term > sum * 1e-18; n++) {
    term *= (2 * t * t) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t) * sum;
}

/** exp(−t²) / √π · 1 / (t + (1/2) / (t + 1 / (t + (3/2) / (t + …)))) */
function erfcFraction(t: number): number {
  let tail = t;
  for (let n = 60; n >= 1; n--) tail = t + n / 2 / tail;
  return Math.exp(-t * t) / Math.sqrt(Math.PI) / tail;
}
