import { fileURLToPath } from 'node:url';

/** The adapter that tests run on: vitest.config.ts names it. */
export const ADAPTER = process.env['LAYER8_TEST_ADAPTER'] ?? 'swiftshader';

export const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export const ROOT = path('..');
export const REFERENCE = path('fixtures/reference');
export const TINY = path('fixtures/reference/tiny');
export const BERT = path('../weights/bert-base-uncased');
