/** Where a run happens: folders, the adapter and the processor in words, and the file that its results go to. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { AdapterDescription } from '../src/gpu/adapter.ts';
import type { RunDescription } from './results.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const BENCH = join(ROOT, 'bench');
/** What can be made again. */
export const CACHE = join(BENCH, '.cache');
export const MODEL = join(ROOT, 'weights', 'bert-base-uncased');
export const REFERENCE = join(ROOT, 'test', 'fixtures', 'reference', 'bert-base-uncased');
/** Encoder layers that every engine runs. */
export const LAYERS = 8;

/** What a result says about the run it is from. */
export function describeRun(
  adapter: AdapterDescription,
  robustness: boolean,
  peers: readonly string[],
): RunDescription {
  const { name, driver } = adapter;
  return {
    adapter: driver.startsWith(name) ? driver : [name, driver].filter(Boolean).join(', '),
    cpu: describeCpu(),
    threads: availableParallelism(),
    robustness,
    versions: {
      layer8: versionOf(),
      ...Object.fromEntries(peers.map((peer) => [peer, versionOf('bench', 'node_modules', peer)])),
      webgpu: versionOf('node_modules', 'webgpu'),
      node: process.versions.node,
    },
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The adapter as every engine's own `--adapter` takes it. */
export function adapterArgument({ kind, name }: AdapterDescription): string {
  return kind === 'gpu' ? name : kind;
}

/**
 * Writes bench/results/PREFIX-ADAPTER.json.
 * @returns its path from the repository's root
 */
export function writeResults(prefix: string, results: RunDescription, { kind, name }: AdapterDescription): string {
  const adapter = kind === 'gpu' ? name.toLowerCase().replace(/[^a-z0-9]+/g, '-') : kind;
  const parts = [prefix, adapter, results.robustness ? 'robustness-on' : ''];
  const file = `bench/results/${parts.filter(Boolean).join('-')}.json`;
  mkdirSync(join(BENCH, 'results'), { recursive: true });
  writeFileSync(join(ROOT, file), `${JSON.stringify(results, null, 2)}\n`);
  return file;
}

/** The CPU's name, its threads and its widest vectors: cloud machines hide the model. */
function describeCpu(): string {
  const flags = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const vectors = /\bavx512f\b/.test(flags) ? ', AVX-512' : /\bavx2\b/.test(flags) ? ', AVX2' : '';
  return `${cpus()[0].model.trim()}, ${availableParallelism()} threads${vectors}`;
}

function versionOf(...path: string[]): string {
  return JSON.parse(readFileSync(join(ROOT, ...path, 'package.json'), 'utf8')).version;
}
