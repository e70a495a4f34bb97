import type { Gpu } from '../gpu/device.ts';
import { VERSION } from '../version.ts';

/** Variables that change how lavapipe computes: what was found without them need not hold with them. */
const DRIVER_VARIABLES = /^(LP_|GALLIVM_|MESA_|NIR_|DAWN_)/;

/** Something that was found out once about an adapter with its driver, as text. */
export interface Memory {
  read(): Promise<string | undefined>;
  write(text: string): Promise<void>;
}

/**
 * A file in the cache, in the folder `kind`, whose name says what it is about: this version, the adapter, and `about`. undefined in a browser, where nothing is remembered.
 */
export async function remembered(kind: string, gpu: Gpu, about: readonly unknown[]): Promise<Memory | undefined> {
  if (typeof process === 'undefined' || !process.versions?.node) return undefined;
  const [{ createHash }, { mkdir, readFile, writeFile }, { cpus }, { join }, { cacheFolder }] = await Promise.all([
    import('node:crypto'),
    import('node:fs/promises'),
    import('node:os'),
    import('node:path'),
    import('../cache.ts'),
  ]);
  const variables = Object.entries(process.env)
    .filter(([name]) => DRIVER_VARIABLES.test(name))
    .sort();
  // A software adapter compiles for the processor, whose name its own does not tell.
  const processor = gpu.description.software ? cpus().map(({ model }) => model) : [];
  const what = [VERSION, gpu.description, processor, about, variables];
  const folder = join(cacheFolder(), kind);
  const file = join(folder, createHash('sha256').update(JSON.stringify(what)).digest('hex').slice(0, 32));
  return {
    read: () => readFile(file, 'utf8').catch(() => undefined),
    async write(text) {
      // Nothing depends on it: without a cache it is found out again next time.
      await mkdir(folder, { recursive: true }).then(
        () => writeFile(file, text),
        () => undefined,
      );
    },
  };
}
