import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { largestDifference } from '../../bench/check.ts';
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

  test('without results behind a marker are an error', () => {
    expect(() => updateTables(project('<!-- bench:nowhere --><!-- /bench -->'), false)).toThrow('nowhere.json');
  });

  test('of this repository are those of bench/results', () => {
    expect(updateTables(REPOSITORY, false)).toEqual([]);
  });
});
