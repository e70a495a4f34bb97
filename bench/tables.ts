/**
 * The Markdown tables of measurements, made from bench/results/*.json. `tsx bench/tables.ts` writes them into the
 * documents, `--check` says which are stale. A table stands between two comments that name it:
 *
 *     <!-- bench:lavapipe -->…<!-- /bench -->         speed and memory, from bench/results/lavapipe.json
 *     <!-- bench:lavapipe/cold -->…<!-- /bench -->    cold start
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
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
 * @throws Error where a marker names results that are not there
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
  const [file, part = 'speed'] = name.split('/');
  const results = JSON.parse(readFileSync(join(root, 'bench', 'results', `${file}.json`), 'utf8')) as Results;
  if (part === 'speed') return `${speedTable(results)}\n\n${caption(results)}`;
  if (part === 'cold') return coldTable(results.cold);
  throw new Error(`no table is called ${name}: there is ${file} and ${file}/cold`);
}

function caption({ adapter, cpu, robustness, versions, date }: Results): string {
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${adapter}; ${cpu}; bounds checks of layer8's shaders ${robustness ? 'on' : 'off'}; ${software.join(', ')}; ${date}`;
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

function duration(seconds: number): string {
  return seconds < 1 ? `${digits(seconds * 1000, 3)} ms` : `${digits(seconds, 3)} s`;
}

/** So many significant digits, without an exponent. */
const digits = (value: number, count: number) => String(Number(value.toPrecision(count)));

function table(head: string[], rows: string[][]): string {
  const lines = [head, head.map((_, i) => (i === 0 ? '---' : '---:')), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const check = process.argv.includes('--check');
  const stale = updateTables(ROOT, !check);
  for (const name of stale) console.log(`${check ? 'stale' : 'written'}: ${name}`);
  if (check && stale.length > 0) process.exitCode = 1;
}
