import { createRequire } from 'node:module';
import { basename } from 'node:path';
import process, { arch, env, platform } from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { NoGpuError } from '../errors.ts';
import { adaptersNamed, noSuchAdapter } from './adapter.ts';
import type { AdapterDescription, OpenedAdapter } from './adapter.ts';
import { hold, listDawnAdapters, openDawnAdapter } from './dawn.ts';
import type { Dawn, DawnAdapter } from './dawn.ts';
import { findSwiftShader, unpackSwiftShader } from './swiftshader.ts';
import type { SwiftShaderPackage } from './swiftshader.ts';
import { findVulkan } from './vulkan.ts';

interface Settings {
  name: string | null;
  warn: (message: string) => void;
  robustness: boolean;
}

/** The oldest Mesa whose lavapipe has what this Dawn needs, and whose results were checked. */
const OLDEST_MESA = 25;

/** Best first. */
const PREFERENCE: AdapterDescription['kind'][] = ['gpu', 'lavapipe', 'software', 'swiftshader'];

/**
 * No bounds checks besides those of the kernels, and no clearing of memory that a kernel writes whole before one reads it: Dawn
 * clears a texture from a buffer as large as the texture, which doubled what a batch took while it began.
 */
const UNGUARDED = ['enable-dawn-features=disable_robustness', 'disable-dawn-features=lazy_clear_resource_on_first_use'];

/** `openAdapter` in Node. */
export async function openNodeAdapter({ name, warn, robustness }: Settings): Promise<OpenedAdapter> {
  const flags = robustness ? [] : UNGUARDED;
  const bundled = await findSwiftShader();
  if (bundled && name?.trim().toLowerCase() === 'swiftshader') {
    return opened(await openSwiftShader(bundled, flags, warn), byName(name), warn);
  }

  const { usable, refusals } = await systemAdapters(flags);
  const all = [...usable.map(({ description }) => description), ...(bundled ? [describe(bundled)] : [])];
  if (all.length === 0) throw noAdapter(refusals);
  const [wanted] = name === null ? all : adaptersNamed(name, all);
  if (wanted === undefined) throw noSuchAdapter(name!, all, refusals);

  const reason = name === null ? whyBest(wanted, refusals) : byName(name);
  const chosen = usable.find(({ description }) => description === wanted);
  if (chosen) return opened(chosen, reason, warn);
  const { chosenBy } = findVulkan();
  if (name === null && chosenBy) warn(`${chosenBy} names no driver that works: SwiftShader is used instead`);
  return opened(await openSwiftShader(bundled!, flags, warn), reason, warn);
}

/** `listAdapters` in Node. */
export async function listNodeAdapters(): Promise<AdapterDescription[]> {
  const { usable } = await systemAdapters([]);
  const bundled = await findSwiftShader();
  return [...usable.map(({ description }) => description), ...(bundled ? [describe(bundled)] : [])];
}

function opened(chosen: DawnAdapter, reason: string, warn: (message: string) => void): OpenedAdapter {
  const { adapter, description } = chosen;
  if (description.kind === 'lavapipe' && Number(env.LP_NATIVE_VECTOR_WIDTH) > 256) {
    warn(`LP_NATIVE_VECTOR_WIDTH=${env.LP_NATIVE_VECTOR_WIDTH} makes lavapipe compute wrong results: unset it`);
  }
  return { adapter, description, reason, release: hold(chosen), abandon: endWithoutDestructors };
}

/** At the end of a process Dawn's destructors wait for all that a device has to do. `process.exit` runs none of them. */
function endWithoutDestructors(): void {
  process.once('beforeExit', () => process.exit());
}

/** The adapters of the system's own drivers, best first, and why there are none or some were refused. */
async function systemAdapters(flags: string[]): Promise<{ usable: DawnAdapter[]; refusals: string[] }> {
  if (platform === 'linux') {
    const { loader, drivers, chosenBy } = findVulkan();
    if (drivers.length === 0)
      return { usable: [], refusals: [chosenBy ? `${chosenBy} names no driver` : 'no Vulkan driver is installed'] };
    if (loader === null) return { usable: [], refusals: ['no Vulkan loader (libvulkan.so.1) is installed'] };
  }
  let dawn: Dawn;
  try {
    dawn = (await import('webgpu')) as unknown as Dawn;
  } catch (cause) {
    return { usable: [], refusals: [`Dawn cannot be loaded on ${platform}-${arch}: ${firstLine(cause)}`] };
  }
  const usable: DawnAdapter[] = [];
  const refusals: string[] = [];
  for (const listed of await listDawnAdapters(dawn)) {
    const candidate = await openDawnAdapter(dawn, listed, flags);
    const refusal = candidate === null ? `Dawn refuses ${listed.name}` : tooOld(candidate.description);
    if (refusal !== null) refusals.push(refusal);
    else usable.push(candidate!);
  }
  if (usable.length + refusals.length === 0) refusals.push(noneOf(platform === 'linux' ? findVulkan().drivers : []));
  usable.sort((a, b) => PREFERENCE.indexOf(a.description.kind) - PREFERENCE.indexOf(b.description.kind));
  return { usable, refusals };
}

function noneOf(drivers: string[]): string {
  const which =
    drivers.length > 0
      ? `the Vulkan drivers (${drivers.map((path) => basename(path)).join(', ')})`
      : 'the installed drivers';
  return `none of ${which} gives an adapter: they are too old (lavapipe needs Mesa ${OLDEST_MESA}) or for hardware that is not there`;
}

/** Why an adapter that Dawn accepts is refused all the same, or null. */
export function tooOld({ kind, driver }: AdapterDescription): string | null {
  const mesa = /Mesa ((\d+)[.\d]*)/.exec(driver);
  if (kind !== 'lavapipe' || mesa === null || Number(mesa[2]) >= OLDEST_MESA) return null;
  return `lavapipe of Mesa ${mesa[1]} is too old: ${OLDEST_MESA} or newer is needed`;
}

/** What is known of SwiftShader before it is unpacked. */
function describe({ version }: SwiftShaderPackage): AdapterDescription {
  return {
    name: 'SwiftShader',
    vendor: 'google',
    architecture: 'swiftshader',
    driver: `@sparticuz/chromium ${version}`,
    backend: 'vulkan',
    software: true,
    kind: 'swiftshader',
  };
}

async function openSwiftShader(
  source: SwiftShaderPackage,
  flags: string[],
  warn: (message: string) => void,
): Promise<DawnAdapter> {
  if (!isMainThread) {
    throw new NoGpuError(
      'SwiftShader cannot be opened from a worker thread, whose environment does not reach the Vulkan loader',
      {
        hint: 'Open the adapter on the main thread.',
      },
    );
  }
  const { dawn: path, driver } = await unpackSwiftShader(source, warn);
  const variables = { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver };
  try {
    const dawn = createRequire(import.meta.url)(path) as Dawn;
    const [listed] = await listDawnAdapters(dawn, variables);
    const chosen = listed ? await openDawnAdapter(dawn, listed, flags, variables) : null;
    if (chosen === null) throw new Error('its Vulkan driver gives no adapter');
    return chosen;
  } catch (cause) {
    throw new NoGpuError(`SwiftShader does not start: ${path}: ${firstLine(cause)}`, {
      hint: 'If that folder forbids running programs (noexec), set XDG_CACHE_HOME to one that allows it.',
      cause,
    });
  }
}

function byName(name: string): string {
  return `chosen by the name "${name}"`;
}

function whyBest({ kind }: AdapterDescription, refusals: string[]): string {
  return kind === 'gpu' ? 'the first GPU' : ['the best there is without a GPU', ...refusals].join('; ');
}

function noAdapter(refusals: string[]): NoGpuError {
  const driver =
    "a Vulkan driver for this machine's GPU, or Mesa's lavapipe 25 or newer (mesa-vulkan-drivers on Debian and Ubuntu)";
  const software =
    arch === 'x64'
      ? 'or the software adapter from npm: npm install @sparticuz/chromium@147'
      : 'the software adapter from npm is for x64 only';
  const hint =
    platform === 'linux' ? `Install ${driver}; ${software}.` : 'Update the graphics driver and the operating system.';
  return new NoGpuError(`no adapter that can compute: ${refusals.join('; ')}`, { hint });
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0];
}
