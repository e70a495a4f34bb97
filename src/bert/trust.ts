import type { WeightDtype } from '../checkpoint/dtypes.ts';
import type { Gpu } from '../gpu/device.ts';
import { VERSION } from '../version.ts';
import type { BertConfig } from './config.ts';
import type { RungFactory } from './rung.ts';
import { selfCheck } from './selfcheck.ts';

/** Variables that change how lavapipe computes: what passed without them has not passed with them. */
const DRIVER_VARIABLES = /^(LP_|GALLIVM_|MESA_|NIR_|DAWN_)/;

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
  const passed = await passMark(gpu, factory, config, dtype);
  if (await passed?.exists()) return;
  await selfCheck(gpu, factory, config, dtype);
  await passed?.write();
}

/** A file in the cache whose name says what has passed; undefined in a browser, where the check runs each time. */
async function passMark(
  gpu: Gpu,
  factory: RungFactory,
  { headSize, hiddenAct }: BertConfig,
  dtype: WeightDtype,
): Promise<{ exists(): Promise<boolean>; write(): Promise<void> } | undefined> {
  if (typeof process === 'undefined' || !process.versions?.node) return undefined;
  const [{ createHash }, { mkdir, stat, writeFile }, { join }, { cacheFolder }] = await Promise.all([
    import('node:crypto'),
    import('node:fs/promises'),
    import('node:path'),
    import('../cache.ts'),
  ]);
  const variables = Object.entries(process.env)
    .filter(([name]) => DRIVER_VARIABLES.test(name))
    .sort();
  // The kernels as they are, not as a version names them: whoever changes one has it checked.
  const kernels = gpu.kernels().map(({ code, constants }) => [code, constants]);
  const what = [VERSION, gpu.description, factory.name, dtype, headSize, hiddenAct, variables, kernels];
  const folder = join(cacheFolder(), 'self-check');
  const file = join(folder, createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 32));
  return {
    exists: () =>
      stat(file).then(
        () => true,
        () => false,
      ),
    async write() {
      // Nothing depends on it: without a cache the check runs again next time.
      await mkdir(folder, { recursive: true }).then(
        () => writeFile(file, ''),
        () => undefined,
      );
    },
  };
}
