import process, { env } from 'node:process';
import { kindOf } from './adapter.ts';
import type { AdapterDescription } from './adapter.ts';
import { withQuietStderr } from './quiet.ts';

/** Dawn's binding for Node: the `webgpu` package, or a copy of its dawn.node. */
export interface Dawn {
  /** Makes an instance; flags are "adapter=NAME", "enable-dawn-features=TOGGLE,…" and the like. */
  create(flags: string[]): GPU;
  /** The names that WebGPU puts into the global scope: GPUBufferUsage and so on. */
  globals: Record<string, unknown>;
}

/** An adapter with the instance that it belongs to. */
export interface DawnAdapter {
  adapter: GPUAdapter;
  description: AdapterDescription;
  instance: GPU;
  dawn: Dawn;
}

/** An adapter as Dawn lists it. */
export interface ListedAdapter {
  name: string;
  backend: string;
}

/**
 * The object that `create` returns must stay reachable while an adapter or device of it lives: once it is collected,
 * Dawn crashes or hangs. This set holds it while an adapter is in use.
 */
const inUse = new Set<GPU>();

/** Holds the instance as long as the adapter object itself, which may outlive its use: a registry's values are strong. */
const untilCollected = new FinalizationRegistry<GPU>(() => {});

/** Holds an adapter's instance until the function returned is called, and defines WebGPU's globals where they are missing. */
export function hold({ instance, dawn }: DawnAdapter): () => void {
  inUse.add(instance);
  for (const [name, value] of Object.entries(dawn.globals))
    if (!(name in globalThis)) Reflect.set(globalThis, name, value);
  return () => void inUse.delete(instance);
}

/** The adapters there are, discrete GPUs first, software last. Dawn names them only in the error for one that does not exist. */
export async function listDawnAdapters(dawn: Dawn, variables: Variables = {}): Promise<ListedAdapter[]> {
  try {
    await requestAdapter(dawn.create(['adapter=(no adapter has this name)']), variables);
    return [];
  } catch (error) {
    return [...String(error).matchAll(/backend: '([^']*)', name: '(.*)'$/gm)].map(([, backend, name]) => ({
      backend,
      name,
    }));
  }
}

/** Opens a listed adapter; null where Dawn refuses it after all. */
export async function openDawnAdapter(
  dawn: Dawn,
  { name, backend }: ListedAdapter,
  flags: string[],
  variables: Variables = {},
): Promise<DawnAdapter | null> {
  const instance = dawn.create([`adapter=${name}`, ...flags]);
  const adapter = await requestAdapter(instance, variables);
  if (adapter === null) return null;
  untilCollected.register(adapter, instance);
  const { vendor, architecture, description: driver } = adapter.info;
  const kind = kindOf(name, adapter.info);
  const description = { name, vendor, architecture, driver, backend, software: kind !== 'gpu', kind };
  return { adapter, description, instance, dawn };
}

/** Variables of the environment that a driver reads while it starts. */
export type Variables = Record<string, string>;

/** Drivers start, read the environment and print their warnings inside this call, before it returns its promise. */
function requestAdapter(instance: GPU, variables: Variables): Promise<GPUAdapter | null> {
  return withEnvironment(variables, () =>
    withQuietStderr(() => instance.requestAdapter({ powerPreference: 'high-performance' })),
  );
}

function withEnvironment<T>(variables: Variables, run: () => T): T {
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
