/**
 * The Markdown tables of measurements, made from bench/results/*.json. `tsx bench/tables.ts` writes them into the
 * documents, `--check` says which are stale. A table stands between two comments that name it:
 *
 *     <!-- bench:lavapipe -->…<!-- /bench -->         speed and memory, from bench/results/lavapipe.json
 *     <!-- bench:lavapipe/cold -->…<!-- /bench -->    cold start
 *     <!-- bench:kernels-lavapipe -->…<!-- /bench --> the ladder, from bench/results/kernels-lavapipe.json; /gain and /forward
 *     <!-- bench:throughput-lavapipe -->…             tokens a second of a text and of a longer one
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { KernelResults, ThroughputResults } from './kernel-results.ts';
import { kernelTable } from './kernel-tables.ts';
import { caption, digits, duration, table } from './markdown.ts';
import { ENGINE_NAMES, type ColdRow, type EngineName, type Measurement, type Results } from './results.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** The documents with measured tables in them. */
const DOCUMENTS = ['README.md', 'kernels/README.md'];
const MARKED = /(<!-- bench:(\S+) -->)[^]*?(<!-- \/bench -->)/g;

/** One result as tables: the command's output, and what README.md shows. */
export function formatResults(results: Results): string {
  const parts = [caption(results)];
  if (results.rows.length > 0) parts.push(speedTable(results));
  if (results.cold.length > 0) parts.push(coldTable(results.cold));
  return parts.join('\n\n');
}

/**
 * Rewrites the tables of the documents under `root`, or only compares.
 * @returns the documents whose tables differed, with the tables' names
 * @throws Error where a marker names a table that there is not
 */
export function updateTables(root: string, write: boolean): string[] {
  const stale: string[] = [];
  for (const document of DOCUMENTS) {
    const path = join(root, document);
    if (!existsSync(path)) continue;
    const before = readFileSync(path, 'utf8');
    const after = before.replace(MARKED, (whole, open: string, name: string, close: string) => {
      const fresh = `${open}\n${namedTable(root, name)}\n${close}`;
      if (fresh !== whole) stale.push(`${document}: ${name}`);
      return fresh;
    });
    if (write && after !== before) writeFileSync(path, after);
  }
  return stale;
}

function namedTable(root: string, name: string): string {
  const [file, part] = name.split('/');
  const path = join(root, 'bench', 'results', `${file}.json`);
  if (!existsSync(path)) return notMeasured(name, file);
  const results: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (file.startsWith('kernels-')) return kernelTable(results as KernelResults, part ?? 'rates');
  if (file.startsWith('throughput-')) return throughputTable(results as ThroughputResults);
  if (part === undefined) return `${speedTable(results as Results)}\n\n${caption(results as Results)}`;
  if (part === 'cold') return coldTable((results as Results).cold);
  throw new Error(`no table is called ${name}: there is ${file} and ${file}/cold`);
}

/** In place of a table: how to measure it. */
function notMeasured(name: string, file: string): string {
  const [, command = '', adapter] = /^(?:(kernels|throughput)-)?(gpu|lavapipe|swiftshader)$/.exec(file) ?? [];
  if (adapter === undefined) throw new Error(`the table ${name} has no results: bench/results/${file}.json`);
  return `Not measured yet: \`npm run bench --${command && ` ${command}`} --adapter ${adapter}\``;
}

/** Whether the rate holds when the text grows. */
export function throughputTable(results: ThroughputResults): string {
  const { short, long, rung } = results;
  const rates = table(
    ['tokens', 'tokens/s', 'ratio'],
    [
      [String(short.tokens), digits(short.tokens_per_s, 3), ''],
      [String(long.tokens), digits(long.tokens_per_s, 3), `${digits(results.ratio, 2)} (${rung})`],
    ],
  );
  return `${rates}\n\n${caption(results)}`;
}

function speedTable({ rows }: Results): string {
  const cell = (m: Measurement | undefined) => (m ? `${duration(m.median_s)} (${digits(m.gflops, 3)})` : '–');
  return table(
    [
      'size',
      'tokens',
      ...ENGINE_NAMES.map((name) => `${name} (GFLOPS)`),
      'WebGPU / layer8',
      'CPU / layer8',
      'MB, layer8 / WebGPU / CPU',
    ],
    rows.map(({ size, tokens, engines }) => [
      sizeCell(size, engines),
      String(tokens),
      ...ENGINE_NAMES.map((name) => cell(engines[name])),
      ratio(engines, 'onnxruntime-webgpu'),
      ratio(engines, 'onnxruntime-cpu'),
      ENGINE_NAMES.map((name) => engines[name]?.rss_mb ?? '–').join(' / '),
    ]),
  );
}

function coldTable(rows: ColdRow[]): string {
  return table(
    ['shader cache', ...ENGINE_NAMES, 'WebGPU / layer8'],
    rows.map(({ cache, engines }) => [
      cache,
      ...ENGINE_NAMES.map((name) => (engines[name] ? duration(engines[name].median_s) : '–')),
      ratio(engines, 'onnxruntime-webgpu'),
    ]),
  );
}

/** The row's name, with what the peers chose where they had a choice. */
function sizeCell(size: string, engines: Partial<Record<EngineName, Measurement>>): string {
  const choices = ENGINE_NAMES.flatMap((name) => (engines[name]?.note ? [`${name} ${engines[name].note}`] : []));
  return choices.length > 0 ? `${size} (${choices.join('; ')})` : size;
}

function ratio(engines: Partial<Record<EngineName, { median_s: number }>>, peer: EngineName): string {
  const [ours, theirs] = [engines.layer8, engines[peer]];
  return ours && theirs ? `${digits(theirs.median_s / ours.median_s, 2)}×` : '–';
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  const stale = updateTables(ROOT, !check);
  for (const name of stale) console.log(`${check ? 'stale' : 'written'}: ${name}`);
  if (check && stale.length > 0) process.exitCode = 1;
}
