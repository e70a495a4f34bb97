import { expect, test } from 'vitest';
import { killPulls } from '../hub/kill.ts';

test('kill −9 at a hundred random moments of a pull', async () => {
  expect(await killPulls(100)).toBeGreaterThan(10);
});
