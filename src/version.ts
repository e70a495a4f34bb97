import { createRequire } from 'node:module';

/** The version of this package, as package.json states it. */
export const VERSION: string = createRequire(import.meta.url)('layer8/package.json').version;
