import { defineConfig } from 'vitest/config';

// Tests that need a GPU run on the software adapter that npm brings, so they are the same everywhere. It is named here, for the
// processes of the pool inherit it: a variable set inside a worker would come too late for the Vulkan loader.
process.env['LAYER8_TEST_ADAPTER'] ??= 'swiftshader';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/build.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
