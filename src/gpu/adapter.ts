import { NoGpuError } from '../errors.ts';

/** What an adapter is, in words for the report and for `doctor`. */
export interface AdapterDescription {
  /** The device's own name, such as "llvmpipe (LLVM 15.0.6, 256 bits)". */
  name: string;
  vendor: string;
  architecture: string;
  /** Driver and version where the platform tells; else empty. */
  driver: string;
  /** The interface below WebGPU ("vulkan", "metal", "d3d12"), or null where the platform does not tell. */
  backend: string | null;
  /** Whether it computes on the CPU. */
  software: boolean;
  kind: 'gpu' | 'lavapipe' | 'swiftshader' | 'software';
}

/** An adapter that was chosen. It lives until `release`. */
export interface OpenedAdapter {
  readonly adapter: GPUAdapter;
  readonly description: AdapterDescription;
  /** Why this one was chosen, one clause. */
  readonly reason: string;
  /** Forgets the instance that the adapter belongs to. Call it only after `device.destroy()` and `await device.lost`. */
  release(): void;
  /** In place of `release`, for a device that never answers: lets the process end without waiting for it. */
  abandon(): void;
}

/** How to choose an adapter. */
export interface AdapterOptions {
  /** Part of the adapter's name, vendor or kind, in any case: "nvidia", "lavapipe", "gpu". Without it the best one is taken. */
  name?: string;
  /** Takes each warning, one sentence; `console.warn` where it is left out. */
  warn?: (message: string) => void;
  /** false drops the bounds checks that Dawn puts into shaders, and clears no memory (Node only; kernels check their own bounds). */
  robustness?: boolean;
}

/**
 * Opens the best adapter: a GPU, else Mesa's lavapipe (25 or newer), else SwiftShader from npm; in a browser, the one
 * that the browser gives.
 *
 * @throws NoGpuError when there is none, or none of that name; the message lists those there are
 */
export async function openAdapter(options: AdapterOptions = {}): Promise<OpenedAdapter> {
  const settings = {
    name: options.name ?? null,
    warn: options.warn ?? console.warn,
    robustness: options.robustness ?? true,
  };
  if (platformGpu() !== null) return openPlatformAdapter(settings.name);
  return (await nodeAdapters()).openNodeAdapter(settings);
}

/** Every adapter that `openAdapter` can choose from, best first. */
export async function listAdapters(): Promise<AdapterDescription[]> {
  if (platformGpu() !== null) return [(await openPlatformAdapter(null)).description];
  return (await nodeAdapters()).listNodeAdapters();
}

/** The kind of an adapter, from its name and what WebGPU tells of it. */
export function kindOf(name: string, info: GPUAdapterInfo): AdapterDescription['kind'] {
  const words = `${name} ${info.architecture} ${info.description}`;
  if (/llvmpipe|lavapipe/i.test(words)) return 'lavapipe';
  if (/swiftshader/i.test(words)) return 'swiftshader';
  return info.isFallbackAdapter ? 'software' : 'gpu';
}

/** Those of the adapters that a name of `--adapter` means: their kind where it is one, else a part of what they are called. */
export function adaptersNamed<T extends AdapterDescription>(name: string, adapters: T[]): T[] {
  const wanted = name.trim().toLowerCase();
  const ofKind = adapters.filter(({ kind }) => kind === wanted);
  if (ofKind.length > 0) return ofKind;
  return adapters.filter((a) => `${a.name}\n${a.vendor}\n${a.kind}`.toLowerCase().includes(wanted));
}

/** The error for a name that no adapter has. */
export function noSuchAdapter(name: string, adapters: AdapterDescription[], refusals: string[] = []): NoGpuError {
  const list = adapters.map((adapter) => `${adapter.name} [${adapter.kind}]`);
  return new NoGpuError([`no adapter is called "${name}": there is ${list.join(' and ')}`, ...refusals].join('; '), {
    hint: 'Give --adapter a part of such a name, or leave it out for the best one.',
  });
}

/** WebGPU as the browser (or Deno) has it. */
function platformGpu(): GPU | null {
  return (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu ?? null;
}

async function openPlatformAdapter(name: string | null): Promise<OpenedAdapter> {
  const adapter = await platformGpu()!.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new NoGpuError('the browser gives no WebGPU adapter', {
      hint: 'Turn on hardware acceleration, or try a current Chrome, Edge, Firefox or Safari.',
    });
  }
  const { info } = adapter;
  const title =
    info.description || info.device || [info.vendor, info.architecture].filter(Boolean).join(' ') || 'unnamed adapter';
  const kind = kindOf(title, info);
  const description: AdapterDescription = {
    name: title,
    vendor: info.vendor,
    architecture: info.architecture,
    driver: '',
    backend: null,
    software: kind !== 'gpu',
    kind,
  };
  if (name !== null && adaptersNamed(name, [description]).length === 0) throw noSuchAdapter(name, [description]);
  return { adapter, description, reason: "the browser's choice", release: () => {}, abandon: () => {} };
}

/** What only Node can do is loaded there only, so that a bundler can leave it out of a page. */
async function nodeAdapters(): Promise<typeof import('./node.ts')> {
  if (typeof process === 'undefined' || !process.versions?.node) {
    throw new NoGpuError('this browser has no WebGPU', {
      hint: 'Use a current Chrome, Edge, Firefox or Safari, over https or on localhost.',
    });
  }
  return import('./node.ts');
}
