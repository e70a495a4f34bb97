// npm runs this after `npm ci` and before `npm pack`. Without the compiler (npm ci --omit=dev) there is nothing to build with, and that is fine.
import { createRequire } from 'node:module';

try {
  createRequire(import.meta.url).resolve('typescript/package.json');
} catch {
  process.exit(0);
}
await import('./build.mjs');
