import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { check, FIXTURES, fuzz } from './target.ts';
import { TARGETS } from './targets.ts';

/** One seed is always the same, so that a change that breaks something is noticed; the other finds what is new. */
const SEEDS = [8, Math.floor(Math.random() * 2 ** 31)];

describe.each(TARGETS)('$name', (target) => {
  test.each(SEEDS)('seed %i: an error of ours, or a right result', { timeout: 120_000 }, async (seed) => {
    const { endings, finding } = await fuzz(target, { seed, runs: target.runs.short / SEEDS.length });
    const replay = `npm run fuzz -- --target ${target.name} --seed ${seed}; kept as ${finding?.fixture}`;
    expect(finding?.error, replay).toBeUndefined();
    // The inputs reach both sides.
    expect(Math.min(endings.right, endings.refused)).toBeGreaterThan(target.runs.short / SEEDS.length / 100);
  });
});

const kept = readdirSync(FIXTURES).filter((name) => name.endsWith('.json'));

test.each(kept)('what was found once: %s', async (name) => {
  const target = TARGETS.find((one) => basename(name).startsWith(`${one.name}-`));
  expect(target, `the target of ${name}`).toBeDefined();
  await check(target!, JSON.parse(readFileSync(join(FIXTURES, name), 'utf8')));
});
