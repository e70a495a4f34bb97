import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { largestDifference } from '../../bench/check.ts';
import type { KernelResults, ThroughputResults } from '../../bench/kernel-results.ts';
import { formatKernels, kernelTable } from '../../bench/kernel-tables.ts';
import { batches } from '../../bench/peer/batching.ts';
import { timing, type Results } from '../../bench/results.ts';
import { buildSizes, operations } from '../../bench/sizes.ts';
import { formatResults, updateTables } from '../../bench/tables.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

describe('sizes', () => {
  const sizes = buildSizes(
    join(REPOSITORY, 'test/fixtures/reference/bert-base-uncased'),
    join(REPOSITORY, 'weights/bert-base-uncased'),
  );
  const lengths = Object.fromEntries(sizes.map(({ name, sequences }) => [name, sequences.map((ids) => ids.length)]));

  test('have the lengths that their names say', () => {
    expect(lengths['1x12']).toEqual([12]);
    expect(lengths['1x128']).toEqual([128]);
    expect(lengths['8x128']).toEqual(Array(8).fill(128));
    expect(lengths['1x512']).toEqual([512]);
    expect(lengths.mixed).toHaveLength(64);
    expect(Math.min(...lengths.mixed)).toBe(4);
    expect(Math.max(...lengths.mixed)).toBe(60);
  });

  test('are made of known word pieces between [CLS] and [SEP]', () => {
    for (const ids of sizes.flatMap(({ sequences }) => sequences)) {
      expect(ids[0]).toBe(101);
      expect(ids.at(-1)).toBe(102);
      expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 30522)).toBe(true);
    }
    expect(sizes[0].sequences[0].slice(0, 4)).toEqual([101, 1996, 4248, 2829]);
  });

  test('operations count the matrix products of the real tokens', () => {
    // Two tokens, hidden 3, intermediate 5, one layer: Q K V and output 4·3·3, the two of the feed-forward 2·3·5, a
    // multiply-add as two, for each token; scores and context 2·(2·2·3) multiply-adds.
    expect(operations([[7, 8]], { hidden_size: 3, intermediate_size: 5 }, 1)).toBe(2 * 2 * (36 + 30) + 2 * 2 * 12);
    expect(operations([[7, 8], [9]], { hidden_size: 3, intermediate_size: 5 }, 2)).toBe(2 * (312 + 132 + 12));
  });
});

describe('batching of the peers', () => {
  const ofLengths = (lengths: number[]) => lengths.map((length) => Array<number>(length).fill(1));

  test('padded: one rectangle as wide as the longest', () => {
    expect(batches(ofLengths([4, 60, 9]), 'padded')).toEqual([{ members: [0, 1, 2], length: 60 }]);
  });

  test('bucketed: every sequence once, with less than eight tokens of padding', () => {
    const lengths = [4, 60, 9, 8, 16, 17, 60];
    const found = batches(ofLengths(lengths), 'bucketed');
    expect(found.flatMap(({ members }) => members).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const { members, length } of found) {
      expect(Math.max(...members.map((i) => lengths[i]))).toBe(length);
      for (const i of members) expect(length - lengths[i]).toBeLessThan(8);
    }
    expect(found).toHaveLength(4);
  });
});

test('the largest difference is NaN where anything is missing, and sees every token', () => {
  expect(largestDifference([[1, 2], [3]], [[1, 2.5], [3]])).toBe(0.5);
  expect(largestDifference([[1, 2]], [[1, 2], [3]])).toBeNaN();
  expect(largestDifference([[1]], [[1, 2]])).toBeNaN();
  expect(largestDifference([[NaN, 2]], [[1, 2]])).toBeNaN();
});

test('timing: median of an odd and of an even number, minimum, slowest over fastest', () => {
  expect(timing([3, 1, 2])).toEqual({ median_s: 2, min_s: 1, spread: 3 });
  expect(timing([4, 1, 2, 3])).toEqual({ median_s: 2.5, min_s: 1, spread: 4 });
});

const ladder: KernelResults = {
  adapter: 'an adapter',
  cpu: 'a CPU',
  threads: 2,
  robustness: true,
  versions: { layer8: '0.1.0' },
  date: '2026-01-02',
  rungs: ['plain', 'tiled', 'subgroup'],
  unfit: { workgroup: 'it needs more' },
  peak: { gflops: 200, how: '8 chains of fma' },
  operations: [
    {
      operation: 'feed-forward, up',
      tokens: 128,
      unit: 'GFLOPS',
      rounds: 3,
      rungs: {
        tiled: { best: 12, median: 10, spread: 1.2, max_error: 0.0000012 },
        subgroup: { best: 60, median: 50.04, spread: 1.1, max_error: 0.000002 },
      },
    },
    {
      operation: 'residual and LayerNorm',
      tokens: 128,
      unit: 'GB/s',
      rounds: 3,
      rungs: { plain: { best: 1, median: 0.9, spread: 1.2, max_error: 0.0000004 } },
    },
  ],
  forward: [
    { tokens: 128, rung: 'subgroup', best_s: 0.24, median_s: 0.3, spread: 1.5, dense_s: 0.16, products_s: 0.2 },
  ],
  gains: [
    {
      size: '1x12',
      rounds: 3,
      rungs: {
        plain: { median_s: 2, min_s: 1.9, spread: 1.1 },
        tiled: { median_s: 0.5, min_s: 0.4, spread: 1.3 },
        subgroup: { median_s: 0.04, min_s: 0.04, spread: 1 },
      },
    },
  ],
};

describe('the ladder of kernels', () => {
  test('shows rate, share of the peak and error of each rung, and a dash where a rung was left out', () => {
    const text = formatKernels(ladder);
    expect(text).toContain('| feed-forward, up | 128 | GFLOPS | – | 10 · 5 % · 1e-6 | 50 · 25 % · 2e-6 |');
    expect(text).toContain('| residual and LayerNorm | 128 | GB/s | 0.9 · 4e-7 | – | – |');
    expect(text).toContain('Peak: 200 GFLOPS, 8 chains of fma');
    expect(text).toContain('The workgroup rung does not run here: it needs more.');
  });

  test('shows what each rung gains over the one that it climbs from', () => {
    expect(kernelTable(ladder, 'gain')).toContain('| 1x12 | 2 s | 500 ms (4×) | 40 ms (13×) |');
  });

  test('shows what a forward pass takes beside its products, each at its best', () => {
    expect(kernelTable(ladder, 'forward')).toContain('| 128 | subgroup | 240 ms | 200 ms | 1.2 | 1.5 |');
  });

  test('has no table of another name', () => {
    expect(() => kernelTable(ladder, 'speed')).toThrow('speed');
  });
});

describe('tables', () => {
  const results: Results = {
    adapter: 'an adapter',
    cpu: 'a CPU',
    threads: 2,
    robustness: true,
    versions: { layer8: '0.1.0' },
    date: '2026-01-02',
    rows: [
      {
        size: 'mixed',
        tokens: 2059,
        rounds: 3,
        max_tas_difference: 1e-5,
        engines: {
          layer8: { median_s: 0.04, min_s: 0.03, spread: 2, gflops: 123.4, rss_mb: 300 },
          'onnxruntime-webgpu': {
            median_s: 4.8,
            min_s: 4,
            spread: 1.5,
            gflops: 1.03,
            rss_mb: 700,
            note: 'bucketed',
          },
        },
      },
    ],
    cold: [{ cache: 'Mesa, empty', rounds: 1, engines: { layer8: { median_s: 2, min_s: 2, spread: 1 } } }],
  };
  const throughput: ThroughputResults = {
    adapter: 'an adapter',
    cpu: 'a CPU',
    threads: 2,
    robustness: true,
    versions: { layer8: '0.1.0' },
    date: '2026-01-02',
    rung: 'subgroup',
    rounds: 5,
    short: { tokens: 1200, tokens_per_s: 200 },
    long: { tokens: 12000, tokens_per_s: 190 },
    ratio: 0.95,
  };
  const folders: string[] = [];
  const project = (readme: string): string => {
    const root = mkdtempSync(join(tmpdir(), 'layer8-bench-'));
    folders.push(root);
    mkdirSync(join(root, 'bench', 'results'), { recursive: true });
    writeFileSync(join(root, 'bench', 'results', 'lavapipe.json'), JSON.stringify(results));
    writeFileSync(join(root, 'README.md'), readme);
    return root;
  };
  afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));

  test('show time, rate, ratio and memory, and a dash for an engine that was not asked', () => {
    expect(formatResults(results)).toContain(
      '| mixed (onnxruntime-webgpu bucketed) | 2059 | 40 ms (123) | 4.8 s (1.03) | – | 120× | – | 300 / 700 / – |',
    );
  });

  test('are written between their markers, and stale when the results change', () => {
    const root = project(
      'before\n<!-- bench:lavapipe -->\noutdated\n<!-- /bench -->\nbetween <!-- bench:lavapipe/cold --><!-- /bench -->\nafter\n',
    );
    expect(updateTables(root, false)).toEqual(['README.md: lavapipe', 'README.md: lavapipe/cold']);
    expect(readFileSync(join(root, 'README.md'), 'utf8')).toContain('outdated');
    updateTables(root, true);
    expect(updateTables(root, false)).toEqual([]);
    const written = readFileSync(join(root, 'README.md'), 'utf8');
    expect(written).toMatch(/^before\n<!-- bench:lavapipe -->\n\| size /);
    expect(written).toMatch(/<!-- \/bench -->\nafter\n$/);
    expect(written).not.toContain('outdated');

    results.rows[0].engines.layer8!.rss_mb = 301;
    writeFileSync(join(root, 'bench', 'results', 'lavapipe.json'), JSON.stringify(results));
    expect(updateTables(root, false)).toEqual(['README.md: lavapipe']);
  });

  test('without results behind a marker say how to measure; a marker of no adapter is an error', () => {
    const root = project('<!-- bench:swiftshader/cold --><!-- /bench --><!-- bench:kernels-gpu --><!-- /bench -->');
    updateTables(root, true);
    const written = readFileSync(join(root, 'README.md'), 'utf8');
    expect(written).toContain('Not measured yet: `npm run bench -- --adapter swiftshader`');
    expect(written).toContain('Not measured yet: `npm run bench -- kernels --adapter gpu`');
    expect(() => updateTables(project('<!-- bench:nowhere --><!-- /bench -->'), false)).toThrow('nowhere.json');
  });

  test('of kernels stand in their own document and are stale when their results change', () => {
    const root = project('');
    const document = join(root, 'kernels', 'README.md');
    mkdirSync(join(root, 'kernels'));
    const names = ['kernels-lavapipe', 'kernels-lavapipe/gain', 'kernels-lavapipe/forward', 'throughput-lavapipe'];
    writeFileSync(document, names.map((name) => `<!-- bench:${name} --><!-- /bench -->`).join('\n'));
    const write = (found: KernelResults) =>
      writeFileSync(join(root, 'bench', 'results', 'kernels-lavapipe.json'), JSON.stringify(found));
    write(ladder);
    writeFileSync(join(root, 'bench', 'results', 'throughput-lavapipe.json'), JSON.stringify(throughput));
    expect(updateTables(root, true)).toEqual(names.map((name) => `kernels/README.md: ${name}`));
    expect(updateTables(root, false)).toEqual([]);
    expect(readFileSync(document, 'utf8')).toContain('| 12000 | 190 | 0.95 (subgroup) |');

    write({ ...ladder, gains: [{ ...ladder.gains[0], rungs: { plain: { median_s: 3, min_s: 3, spread: 1 } } }] });
    expect(updateTables(root, false)).toEqual(['kernels/README.md: kernels-lavapipe/gain']);
  });

  test('of this repository are those of bench/results', () => {
    expect(updateTables(REPOSITORY, false)).toEqual([]);
  });
});
