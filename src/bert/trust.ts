import type { WeightDtype } from '../checkpoint/dtypes.ts';
import type { Gpu } from '../gpu/device.ts';
import type { BertConfig } from './config.ts';
import { remembered } from './remembered.ts';
import type { RungFactory } from './rung.ts';
import { selfCheck } from './selfcheck.ts';

/**
 * Runs the self-check of an adapter's arithmetic, unless this adapter, with this driver and these kernels, has passed it before.
 * @throws NumericError where it computes wrongly
 */
export async function checkArithmetic(
  gpu: Gpu,
  factory: RungFactory,
  config: BertConfig,
  dtype: WeightDtype,
): Promise<void> {
  const { headSize, hiddenAct } = config;
  // The kernels as they are, not as a version names them: whoever changes one has it checked.
  const kernels = gpu.kernels().map(({ code, constants }) => [code, constants]);
  const passed = await remembered('self-check', gpu, [factory.name, dtype, headSize, hiddenAct, kernels]);
  if ((await passed?.read()) !== undefined) return;
  await selfCheck(gpu, factory, config, dtype);
  await passed?.write('');
}
