import { expect, test } from 'vitest';
import { killPlain, killResumed, killUnpacking } from '../cli/kill.ts';
import { memoryFor } from '../faults/memory.ts';

test('kill −9 at a hundred moments of analyze --resume', async () => {
  expect(await killResumed(100)).toBeGreaterThan(20);
});

test('kill −9 at a hundred moments of analyze --output', async () => {
  expect(await killPlain(100)).toBeGreaterThan(20);
});

test('kill −9 at a hundred moments of the first unpacking of the software adapter', async () => {
  await killUnpacking(100);
});

test('a file of 1 GB is streamed: memory does not grow with it', async () => {
  expect(await memoryFor(1000)).toBeLessThan(250);
});
