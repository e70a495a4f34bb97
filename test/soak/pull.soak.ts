import { expect, test } from 'vitest';
import { killPulls } from '../hub/kill.ts';

test('kill −9 at a hundred random moments of a pull', { timeout: 900_000 }, async () => {
  expect(await killPulls(100)).toBeGreaterThan(10);
});
