import { defineConfig } from 'vitest/config';
import config from './vitest.config.ts';

// What takes too long for every change: a hundred kills, a gigabyte.
export default defineConfig({
  test: { ...config.test, include: ['test/soak/**/*.soak.ts'], maxWorkers: 1, testTimeout: 3_600_000 },
});
