import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { env } from 'node:process';

/** What a Linux system has of Vulkan, found without loading any of it. */
export interface VulkanInstallation {
  /** The Vulkan loader, libvulkan.so.1, or null where there is none. */
  loader: string | null;
  /** The driver manifests (ICD files) that the loader would read. */
  drivers: string[];
  /** The environment variable that replaces the system's drivers by the user's choice, or null. */
  chosenBy: 'VK_DRIVER_FILES' | 'VK_ICD_FILENAMES' | null;
}

/**
 * Looks for the Vulkan loader and for driver manifests where the loader itself looks, so that Dawn is asked only where
 * it can succeed: without either it prints warnings of its own.
 * Source: the Khronos loader's LoaderDriverInterface.md, "Driver Discovery on Linux".
 */
export function findVulkan(): VulkanInstallation {
  const chosenBy = env.VK_DRIVER_FILES ? 'VK_DRIVER_FILES' : env.VK_ICD_FILENAMES ? 'VK_ICD_FILENAMES' : null;
  const drivers = chosenBy
    ? splitPaths(env[chosenBy]).flatMap(manifestsAt)
    : [...splitPaths(env.VK_ADD_DRIVER_FILES), ...driverFolders()].flatMap(manifestsAt);
  return { loader: findLoader(), drivers: [...new Set(drivers)], chosenBy };
}

function driverFolders(): string[] {
  const roots = [
    env.XDG_CONFIG_HOME || join(homedir(), '.config'),
    ...splitPaths(env.XDG_CONFIG_DIRS || '/etc/xdg'),
    '/usr/local/etc',
    '/etc',
    env.XDG_DATA_HOME || join(homedir(), '.local', 'share'),
    ...splitPaths(env.XDG_DATA_DIRS || '/usr/local/share:/usr/share'),
    '/run/opengl-driver/share', // NixOS
  ];
  return roots.map((root) => join(root, 'vulkan', 'icd.d'));
}

/** The manifests at a path, which is one or a folder of them; none where it does not exist or cannot be read. */
function manifestsAt(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => join(path, name));
  } catch {
    return [];
  }
}

function findLoader(): string | null {
  const folders = [...splitPaths(env.LD_LIBRARY_PATH), '/lib', '/usr/lib', '/lib64', '/usr/lib64', '/usr/local/lib'];
  const candidates = [...folders.map((folder) => join(folder, 'libvulkan.so.1')), ...linkerCacheEntries()];
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** Paths of libvulkan.so.1 in the dynamic linker's cache, a binary table whose strings end with NUL. */
function linkerCacheEntries(): string[] {
  try {
    return readFileSync('/etc/ld.so.cache', 'latin1').match(/\/[^\0]*\/libvulkan\.so\.1(?=\0)/g) ?? [];
  } catch {
    return [];
  }
}

function splitPaths(list: string | undefined): string[] {
  return (list ?? '').split(delimiter).filter((path) => path !== '');
}
