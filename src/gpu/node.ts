import { createRequire } from 'node:module';
import process, { arch, env, platform } from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { NoGpuError } from '../errors.ts';
import { adaptersNamed, kindOf, noSuchAdapter } from './adapter.ts';
import type { AdapterDescription, OpenedAdapter } from './adapter.ts';
import { withQuietStderr } from './quiet.ts';
import { findSwiftShader, unpackSwiftShader } from './swiftshader.ts';
import type { SwiftShaderPackage } from './swiftshader.ts';
import { findVulkan } from './vulkan.ts';

/** The `webgpu` package, or a copy of its dawn.node. */
interface Dawn {
  create(flags: string[]): GPU;
  globals: Record<string, unknown>;
}

interface Settings {
  name: string | null;
  warn: (message: string) => void;
  robustness: boolean;
}

/** An adapter there is, opened to see what it is, with the instance it belongs to. */
interface Candidate extends AdapterDescription {
  adapter: GPUAdapter;
  instance: GPU;
  dawn: Dawn;
}

/** The oldest Mesa whose lavapipe this Dawn runs on and whose results were checked. */
const OLDEST_MESA = 25;

/**
 * What `create` returns must stay reachable while an adapter or device of it lives: once it is collected, Dawn crashes
 * or hangs.
 */
const instances = new Set<GPU>();

/** Keeps the instance of an adapter that nobody chose as long as the adapter itself: a registry holds its values strongly. */
const unused = new FinalizationRegistry<GPU>(() => {});

/** `openAdapter` in Node. */
export async function openNodeAdapter({ name, warn, robustness }: Settings): Promise<OpenedAdapter> {
  const flags = robustness ? [] : ['enable-dawn-features=disable_robustness'];
  const system = await systemAdapters(flags);
  const swiftShader = await findSwiftShader();

  const all = [...system.usable, ...(swiftShader ? [swiftShaderDescription(swiftShader)] : [])];
  const wanted = name === null ? all : adaptersNamed(name, all);
  if (wanted.length === 0) {
    if (name !== null && all.length > 0) throw noSuchAdapter(name, all);
    throw noAdapter(system.refusals);
  }
  const because = name === null ? whyBest(wanted[0], system.refusals) : `chosen by the name "${name}"`;
  const chosen =
    system.usable.find((candidate) => candidate === wanted[0]) ?? (await openSwiftShader(swiftShader!, flags, warn));
  if (chosen.kind === 'lavapipe' && Number(env.LP_NATIVE_VECTOR_WIDTH) > 256) {
    warn(`LP_NATIVE_VECTOR_WIDTH=${env.LP_NATIVE_VECTOR_WIDTH} makes lavapipe compute wrong results: unset it`);
  }
  return keep(chosen, because);
}

/** `listAdapters` in Node. */
export async function listNodeAdapters(): Promise<AdapterDescription[]> {
  const { usable } = await systemAdapters([]);
  const swiftShader = await findSwiftShader();
  const bundled = swiftShader ? [swiftShaderDescription(swiftShader)] : [];
  return [...usable.map(({ adapter: _, instance: __, dawn: ___, ...description }) => description), ...bundled];
}

function keep(chosen: Candidate, reason: string): OpenedAdapter {
  const { adapter, instance, dawn, ...description } = chosen;
  instances.add(instance);
  for (const [name, value] of Object.entries(dawn.globals))
    if (!(name in globalThis)) Reflect.set(globalThis, name, value);
  return { adapter, description, reason, release: () => void instances.delete(instance) };
}

/** The adapters of the drivers that the system has, best first, and why others were passed over. */
async function systemAdapters(flags: string[]): Promise<{ usable: Candidate[]; refusals: string[] }> {
  if (platform === 'linux') {
    const { loader, drivers } = findVulkan();
    if (loader === null) return { usable: [], refusals: ['no Vulkan loader (libvulkan.so.1) is installed'] };
    if (drivers.length === 0) return { usable: [], refusals: ['no Vulkan driver is installed'] };
  }
  let dawn: Dawn;
  try {
    dawn = (await import('webgpu')) as unknown as Dawn;
  } catch (cause) {
    return { usable: [], refusals: [`Dawn cannot be loaded on ${platform}-${arch}: ${firstLine(cause)}`] };
  }
  const usable: Candidate[] = [];
  const refusals: string[] = [];
  for (const listed of await list(dawn)) {
    const candidate = await open(dawn, listed.name, listed.backend, flags);
    if (candidate === null) continue;
    const mesa = Number(/Mesa (\d+)/.exec(candidate.driver)?.[1] ?? OLDEST_MESA);
    if (candidate.kind === 'lavapipe' && mesa < OLDEST_MESA) {
      refusals.push(`lavapipe of Mesa ${mesa} is too old (${OLDEST_MESA} or newer is needed)`);
    } else usable.push(candidate);
  }
  if (usable.length === 0 && refusals.length === 0)
    refusals.push('no Vulkan driver gives an adapter: it is too old, or its GPU is absent');
  return { usable: usable.sort((a, b) => rank(a) - rank(b)), refusals };
}

function rank({ kind }: AdapterDescription): number {
  return ['gpu', 'lavapipe', 'software', 'swiftshader'].indexOf(kind);
}

/** Dawn tells which adapters there are only in the error for one that does not exist. */
async function list(dawn: Dawn): Promise<{ name: string; backend: string }[]> {
  try {
    const answer = withQuietStderr(() =>
      dawn.create(['adapter=(none is called so)']).requestAdapter({ powerPreference: 'high-performance' }),
    );
    await answer;
    return [];
  } catch (error) {
    return [...String(error).matchAll(/backend: '([^']*)', name: '(.*)'$/gm)].map(([, backend, name]) => ({
      backend,
      name,
    }));
  }
}

async function open(dawn: Dawn, name: string, backend: string, flags: string[]): Promise<Candidate | null> {
  const instance = dawn.create([`adapter=${name}`, ...flags]);
  const adapter = await withQuietStderr(() => instance.requestAdapter({ powerPreference: 'high-performance' }));
  if (adapter === null) return null;
  unused.register(adapter, instance);
  const { info } = adapter;
  const kind = kindOf(name, info);
  const { vendor, architecture, description: driver } = info;
  return { name, vendor, architecture, driver, backend, software: kind !== 'gpu', kind, adapter, instance, dawn };
}

function swiftShaderDescription({ version }: SwiftShaderPackage): AdapterDescription {
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
): Promise<Candidate> {
  if (!isMainThread) {
    throw new NoGpuError(
      'SwiftShader cannot be opened from a worker thread: the environment of a worker does not reach its Vulkan loader',
      {
        hint: 'Open the adapter on the main thread.',
      },
    );
  }
  const { dawn: path, driver } = await unpackSwiftShader(source, warn);
  try {
    const dawn = createRequire(import.meta.url)(path) as Dawn;
    const instance = dawn.create(flags);
    // Dawn starts the Vulkan loader inside this call, and the loader reads the environment only then.
    const answer = withEnvironment({ VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver }, () =>
      withQuietStderr(() => instance.requestAdapter()),
    );
    const adapter = await answer;
    if (adapter === null) throw new Error('its Vulkan driver gives no adapter');
    unused.register(adapter, instance);
    const { vendor, architecture, description } = adapter.info;
    return { ...swiftShaderDescription(source), vendor, architecture, driver: description, adapter, instance, dawn };
  } catch (cause) {
    throw new NoGpuError(`SwiftShader does not start: ${path}: ${firstLine(cause)}`, {
      hint: 'If that folder forbids running programs (noexec), set XDG_CACHE_HOME to one that allows it.',
      cause,
    });
  }
}

function withEnvironment<T>(variables: Record<string, string>, run: () => T): T {
  const before = Object.keys(variables).map((name) => [name, env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

function whyBest({ kind }: AdapterDescription, refusals: string[]): string {
  if (kind === 'gpu') return 'a GPU';
  return ['no GPU was found', ...refusals].join('; ');
}

function noAdapter(refusals: string[]): NoGpuError {
  const driver =
    "a Vulkan driver for this machine's GPU, or Mesa's lavapipe 25 or newer (mesa-vulkan-drivers and libvulkan1 on Debian and Ubuntu)";
  const hint =
    platform !== 'linux'
      ? 'Update the graphics driver and the operating system.'
      : arch === 'x64'
        ? `Install ${driver}; or the software adapter from npm: npm install @sparticuz/chromium@147.`
        : `Install ${driver}; the software adapter from npm exists for Linux x64 only.`;
  return new NoGpuError(['no adapter that can compute', ...refusals].join(': '), { hint });
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split('\n', 1)[0];
}
