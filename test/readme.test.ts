import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { VERSION } from '../src/version.ts';
import { ROOT } from './support.ts';

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

describe('the table of the README against the files', () => {
  /** Rows of the table: the stage in forward.ts, the kernel's file, the twin's. */
  const rows = [
    ...read('README.md').matchAll(
      /^\| `?([^`|]+?)`? \| [^|]+ \| \[\w+\]\((kernels\/\w+\.wgsl)\) \| \[\w+\]\((kernels\/twins\/\w+\.ts)\) \|$/gm,
    ),
  ];

  test('every kernel and every twin is there, and the kernel names its twin', () => {
    expect(rows.length).toBeGreaterThan(15);
    for (const [, stage, kernel = '', twin = ''] of rows) {
      expect(existsSync(join(ROOT, kernel)), `${stage}: ${kernel}`).toBe(true);
      expect(existsSync(join(ROOT, twin)), `${stage}: ${twin}`).toBe(true);
      expect(read(kernel), `${stage}: the header of ${kernel}`).toContain(twin);
    }
  });

  test('every line of forward.ts has a row, in the order of the lines', () => {
    const stages = [...read('src/bert/forward.ts').matchAll(/stage\('([\w.]+)'/g)].map(([, stage]) => stage);
    const documented = rows.map(([, stage]) => stage).filter((stage) => stages.includes(stage));
    expect(stages.length).toBeGreaterThan(12);
    expect(documented).toEqual(stages);
  });
});

test('forward.ts stays a page', () => {
  expect(read('src/bert/forward.ts').split('\n').length).toBeLessThanOrEqual(150);
});

test('links of the documents lead somewhere', () => {
  for (const page of ['README.md', 'kernels/README.md', 'weights/bert-base-uncased/README.md', 'bench/README.md']) {
    for (const [, target = ''] of read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      expect(existsSync(join(ROOT, dirname(page), target)), `${page}: ${target}`).toBe(true);
    }
  }
});

test('the version is the one of package.json', () => {
  expect((JSON.parse(read('package.json')) as { version: string }).version).toBe(VERSION);
});

test('every kernel has the six lines of its header', () => {
  for (const file of readdirSync(join(ROOT, 'kernels')).filter((name) => name.endsWith('.wgsl'))) {
    for (const line of ['Maths', 'Shapes', 'Dispatch', 'Method', 'Limits', 'Twin']) {
      expect(read(`kernels/${file}`), `${file}: ${line}`).toMatch(new RegExp(`^// ${line}\\b`, 'm'));
    }
  }
});
