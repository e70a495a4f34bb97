/** The tables of kernels/README.md: the ladder's rates, what each rung gains, and what is lost between the kernels. */
import type { ForwardRow, GainRow, KernelResults, OperationRow, Rate } from './kernel-results.ts';
import { caption, digits, duration, table } from './markdown.ts';

/** The command's output. */
export function formatKernels(results: KernelResults): string {
  return [kernelTable(results, 'rates'), kernelTable(results, 'gain'), kernelTable(results, 'forward')].join('\n\n');
}

/**
 * One of the tables by its name.
 * @throws Error where there is none of that name
 */
export function kernelTable(results: KernelResults, part: string): string {
  if (part === 'rates') return `${ratesTable(results)}\n\n${peakCaption(results)}`;
  if (part === 'gain') return gainTable(results);
  if (part === 'forward') return forwardTable(results.forward);
  throw new Error(`no table of kernels is called ${part}: there is rates, gain, forward`);
}

/** Rate, share of the peak and error of every rung. The rate is the median's. */
function ratesTable({ rungs, peak, operations }: KernelResults): string {
  const cell = (row: OperationRow, rate: Rate | undefined) => {
    if (!rate) return '–';
    const share = row.unit === 'GFLOPS' ? ` · ${digits((100 * rate.median) / peak.gflops, 2)} %` : '';
    return `${digits(rate.median, 3)}${share} · ${rate.max_error.toExponential(0)}`;
  };
  return table(
    ['operation', 'tokens', 'unit', ...rungs],
    operations.map((row) => [
      row.operation,
      String(row.tokens),
      row.unit,
      ...rungs.map((name) => cell(row, row.rungs[name])),
    ]),
  );
}

function peakCaption(results: KernelResults): string {
  const { peak, unfit } = results;
  const absent = Object.entries(unfit).map(([name, reason]) => ` The ${name} rung does not run here: ${reason}.`);
  return `Rate · share of the peak · largest error. Peak: ${peak.gflops} GFLOPS, ${peak.how}. – would take too long.${absent.join('')}\n${caption(results)}`;
}

/** The rung that each climbs from. */
const BELOW: Record<string, string> = { tiled: 'plain', subgroup: 'tiled', workgroup: 'tiled' };

/** Time of every rung, and how many times faster it is than the rung that it climbs from. */
function gainTable({ rungs, gains }: KernelResults): string {
  const cell = ({ rungs: times }: GainRow, name: string) => {
    const [time, below] = [times[name], times[BELOW[name]]];
    if (!time) return '–';
    return `${duration(time.median_s)}${below ? ` (${digits(below.median_s / time.median_s, 2)}×)` : ''}`;
  };
  return table(
    ['size', ...rungs.map((name) => (name in BELOW ? `${name} (gain over ${BELOW[name]})` : name))],
    gains.map((row) => [row.size, ...rungs.map((name) => cell(row, name))]),
  );
}

function forwardTable(rows: ForwardRow[]): string {
  return table(
    ['tokens', 'rung', 'whole forward pass', 'its matrix products', 'ratio', 'ratio to the dense layers alone'],
    rows.map(({ tokens, rung, best_s, dense_s, products_s }) => [
      String(tokens),
      rung,
      duration(best_s),
      duration(products_s),
      digits(best_s / products_s, 3),
      digits(best_s / dense_s, 3),
    ]),
  );
}
