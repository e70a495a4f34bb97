/** The adapter that every engine of a run uses, and how an engine's process is made to see no other. */
import { dirname } from 'node:path';
import { adaptersNamed, listAdapters, noSuchAdapter, type AdapterDescription } from '../src/gpu/adapter.ts';
import { findSwiftShader, unpackSwiftShader } from '../src/gpu/swiftshader.ts';
import { findVulkan } from '../src/gpu/vulkan.ts';

/** File names of lavapipe's driver manifest: lvp_icd.json, lvp_icd.x86_64.json, … */
const LAVAPIPE_MANIFEST = /(^|\/)lvp_icd[^/]*\.json$/;

/** The best adapter of this name, or the best of all. @throws NoGpuError where there is none */
export async function chooseAdapter(name: string | undefined): Promise<AdapterDescription> {
  const all = await listAdapters();
  const chosen = (name === undefined ? all : adaptersNamed(name, all))[0];
  if (chosen === undefined) throw noSuchAdapter(name ?? 'any', all);
  return chosen;
}

/**
 * The environment in which the Vulkan loader of an engine's process finds this adapter's driver alone. onnxruntime has
 * no option for it. A GPU needs none: both engines ask for the fastest adapter.
 */
export async function environmentOf({ kind }: AdapterDescription): Promise<Record<string, string>> {
  if (kind === 'swiftshader') {
    const { dawn, driver } = await unpackSwiftShader((await findSwiftShader())!, console.warn);
    // Beside the copy of Dawn lies a Vulkan loader, for machines that have none.
    return { ...onlyDriver(driver), ...(findVulkan().loader === null ? { LD_LIBRARY_PATH: dirname(dawn) } : {}) };
  }
  if (kind !== 'lavapipe') return {};
  const manifest = findVulkan().drivers.find((path) => LAVAPIPE_MANIFEST.test(path));
  return manifest === undefined ? {} : onlyDriver(manifest);
}

const onlyDriver = (manifest: string) => ({ VK_DRIVER_FILES: manifest, VK_ICD_FILENAMES: manifest });
