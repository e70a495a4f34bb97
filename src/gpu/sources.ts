import { IoError } from '../errors.ts';
import type { KernelSource } from './kernel.ts';

const loaded = new Map<string, Promise<KernelSource>>();

/**
 * Reads kernels/NAME.wgsl as it is: from the source tree, from the built package (whose dist/kernels is a copy), or, in a browser,
 * over HTTP. Each file is read once.
 * @throws IoError where there is no such file.
 */
export function loadKernelSource(name: string): Promise<KernelSource> {
  let source = loaded.get(name);
  if (!source) {
    source = readText(new URL(`../../kernels/${name}.wgsl`, import.meta.url)).then(
      (code) => ({ name, code }),
      (cause: unknown) => {
        loaded.delete(name);
        throw new IoError(`cannot read the kernel ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
          hint: 'Kernels are part of layer8: install it again.',
          cause,
        });
      },
    );
    loaded.set(name, source);
  }
  return source;
}

async function readText(url: URL): Promise<string> {
  if (url.protocol === 'file:') {
    const { readFile } = await import('node:fs/promises');
    return readFile(url, 'utf8');
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: HTTP ${response.status}`);
  return response.text();
}
