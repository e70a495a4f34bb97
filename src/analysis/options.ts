import { checkLayer } from '../bert/model.ts';
import type { BertConfig } from '../bert/config.ts';
import { UsageError } from '../errors.ts';
import { DEFAULT_OPTIONS, INTERPOLATIONS } from './result.ts';
import type { AnalysisOptions } from './result.ts';

const CHOICES: { readonly [K in keyof AnalysisOptions]?: readonly AnalysisOptions[K][] } = {
  interpolation: INTERPOLATIONS,
  boundary: ['inclusive', 'exclusive'],
  specials: ['exclude', 'include'],
  scope: ['sequence', 'corpus'],
  unit: ['token', 'word'],
  wordReduce: ['max', 'mean', 'first'],
  long: ['window', 'error'],
};

/**
 * The options with defaults where they are left out.
 * @param layers encoder layers that were loaded
 * @throws UsageError that names the option and the values it takes
 */
export function completeOptions(given: Partial<AnalysisOptions>, config: BertConfig, layers: number): AnalysisOptions {
  for (const name of Object.keys(given)) {
    if (!(name in DEFAULT_OPTIONS))
      throw new UsageError(`there is no option ${name}: choose from ${Object.keys(DEFAULT_OPTIONS).join(', ')}`);
  }
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const options: AnalysisOptions = { ...DEFAULT_OPTIONS, layer: layers, ...present };
  for (const [name, values] of Object.entries(CHOICES)) {
    const value = options[name as keyof AnalysisOptions];
    if (!(values as readonly unknown[]).includes(value))
      throw new UsageError(`${name} ${String(value)}: choose from ${values.join(', ')}`);
  }
  const { quantile, threshold, stride, layer } = options;
  if (!(quantile >= 0 && quantile <= 1)) throw new UsageError(`quantile ${quantile}: a number from 0 to 1`);
  if (threshold !== null && !(threshold >= 0 && threshold < Infinity))
    throw new UsageError(`threshold ${threshold}: a number from 0`);
  if (!Number.isInteger(stride) || stride < 0)
    throw new UsageError(`stride ${stride}: a whole number of tokens from 0`);
  checkLayer(layer, config);
  if (layer > layers)
    throw new UsageError(`layer ${layer}: only ${layers} layers were loaded: load the model with { layers: ${layer} }`);
  return options;
}
