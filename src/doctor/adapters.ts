import { listAdapters, openAdapter } from '../gpu/adapter.ts';
import type { AdapterDescription } from '../gpu/adapter.ts';

/** An adapter and what it offers. */
export interface ExaminedAdapter extends AdapterDescription {
  /** The limits that decide which models and kernels run; null where the adapter could not be opened. */
  limits: Record<(typeof LIMITS)[number], number> | null;
  /** The optional features that kernels can use. */
  features: string[];
  /** Fewest and most lanes of a subgroup; null where it has none, or does not tell. */
  subgroups: [number, number] | null;
  /** Why it cannot be opened, or null. */
  problem: string | null;
}

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxTextureDimension2D',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
] as const;
const FEATURES = ['subgroups', 'shader-f16', 'timestamp-query'];

/** Opens every adapter there is, one after the other, and looks at what it offers. */
export async function examineAdapters(warn: (message: string) => void): Promise<ExaminedAdapter[]> {
  const examined: ExaminedAdapter[] = [];
  for (const description of await listAdapters()) examined.push(await examine(description, warn));
  return examined;
}

async function examine(listed: AdapterDescription, warn: (message: string) => void): Promise<ExaminedAdapter> {
  try {
    // SwiftShader has a name of its own only once it is unpacked; its kind names it before.
    const name = listed.kind === 'swiftshader' ? listed.kind : listed.name;
    const { adapter, description, release } = await openAdapter({ name, warn });
    const { limits, features, info } = adapter;
    const { subgroupMinSize, subgroupMaxSize } = info as { subgroupMinSize?: number; subgroupMaxSize?: number };
    const examined: ExaminedAdapter = {
      ...description,
      limits: Object.fromEntries(LIMITS.map((limit) => [limit, limits[limit]])) as ExaminedAdapter['limits'],
      features: FEATURES.filter((feature) => features.has(feature)),
      subgroups: subgroupMinSize && subgroupMaxSize ? [subgroupMinSize, subgroupMaxSize] : null,
      problem: null,
    };
    release();
    return examined;
  } catch (error) {
    return { ...listed, limits: null, features: [], subgroups: null, problem: (error as Error).message };
  }
}
