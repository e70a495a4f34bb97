import type { Interpolation } from './result.ts';

/**
 * Where the quantile of n sorted values lies: between the order statistics s(lo) and s(lo + 1), the share `g` of the way.
 * g = 0 means s(lo) itself. 0 ≤ lo ≤ n − 1, 0 ≤ g < 1.
 */
export interface Cut {
  readonly lo: number;
  readonly g: number;
}

/** Shares nearer to 0 or 1 than this are float64's rounding of an order statistic, not a place between two. */
const ROUNDING = 2 ** -40;

/** Hyndman & Fan's α and β of the methods that are continuous in q. `linear`, α = β = 1, is written as NumPy writes it. */
const PLOTTING_POSITIONS: Partial<Record<Interpolation, readonly [alpha: number, beta: number]>> = {
  interpolated_inverted_cdf: [0, 1],
  hazen: [0.5, 0.5],
  weibull: [0, 0],
  median_unbiased: [1 / 3, 1 / 3],
  normal_unbiased: [3 / 8, 3 / 8],
};

/**
 * The place of quantile q among n values by one of NumPy's thirteen methods, in NumPy's order of operations
 * (numpy/lib/_function_base_impl.py; Hyndman & Fan 1996, "Sample Quantiles in Statistical Packages").
 * All of them need at most two neighbouring order statistics.
 * @param n number of values, at least 1
 * @param q quantile in [0, 1]
 */
export function quantileCut(method: Interpolation, n: number, q: number): Cut {
  const last = n - 1;
  const plotting = PLOTTING_POSITIONS[method];
  if (plotting) {
    const [alpha, beta] = plotting;
    return between(n * q + (alpha + q * (1 - alpha - beta)) - 1, last);
  }
  switch (method) {
    case 'lower':
      return at(Math.floor(last * q), last);
    case 'higher':
      return at(Math.ceil(last * q), last);
    case 'nearest':
      return at(roundHalfToEven(last * q), last);
    case 'midpoint': {
      const index = last * q;
      const lo = Math.floor(index);
      return index === lo ? at(lo, last) : { lo, g: 0.5 };
    }
    case 'inverted_cdf': {
      const index = n * q - 1;
      return at(Math.ceil(index), last);
    }
    case 'averaged_inverted_cdf': {
      const index = n * q - 1;
      const lo = Math.floor(index);
      if (lo < 0 || lo >= last) return at(lo, last);
      return index === lo ? { lo, g: 0.5 } : at(lo + 1, last);
    }
    case 'closest_observation': {
      // At a tie the even order statistic counted from 1, which is the odd index counted from 0.
      const index = n * q - 1 - 0.5;
      const lo = Math.floor(index);
      return at(index === lo && lo % 2 === 1 ? lo : lo + 1, last);
    }
    default:
      return between(last * q, last);
  }
}

function at(index: number, last: number): Cut {
  return { lo: Math.min(Math.max(index, 0), last), g: 0 };
}

function between(index: number, last: number): Cut {
  if (index >= last) return at(last, last);
  if (index <= 0) return at(0, last);
  const lo = Math.floor(index);
  const g = index - lo;
  if (g < ROUNDING) return at(lo, last);
  if (1 - g < ROUNDING) return at(lo + 1, last);
  return { lo, g };
}

function roundHalfToEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}
