import { afterEach, expect, test, vi } from 'vitest';
import { awake, waitSleeping } from '../../src/gpu/wait.ts';

afterEach(() => vi.restoreAllMocks());

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test('a wait sleeps, but not while this thread has something to do', async () => {
  const sleep = vi.spyOn(Atomics, 'wait');
  const waiting = waitSleeping(later(60));
  await expect(
    awake(async () => {
      await later(20);
      expect(sleep).not.toHaveBeenCalled();
      throw new Error('what it does may fail');
    }),
  ).rejects.toThrow('may fail');
  await waiting;
  expect(sleep).toHaveBeenCalled();
});
