import { arch, platform, version } from 'node:process';
import { cacheFolder } from '../cache.ts';
import { findSwiftShader } from './swiftshader.ts';
import { findVulkan } from './vulkan.ts';
import type { VulkanInstallation } from './vulkan.ts';

/** What decides which adapters a machine can offer, for `doctor`. */
export interface GpuEnvironment {
  /** Node's version, such as "v20.20.2". */
  node: string;
  platform: string;
  arch: string;
  /** Vulkan's loader and drivers; null where WebGPU stands on something else (macOS, Windows). */
  vulkan: VulkanInstallation | null;
  /** Version of the installed package that carries SwiftShader, or null. */
  swiftShader: string | null;
  /** Where SwiftShader is unpacked; it need not exist yet. */
  cacheFolder: string;
}

/** Looks around without loading a driver or writing a file. */
export async function describeEnvironment(): Promise<GpuEnvironment> {
  return {
    node: version,
    platform,
    arch,
    vulkan: platform === 'linux' ? findVulkan() : null,
    swiftShader: (await findSwiftShader())?.version ?? null,
    cacheFolder: cacheFolder(),
  };
}
