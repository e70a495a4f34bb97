// Writes docs/faults.md: every fault, its exit code, and the tests that provoke it, found by their markers.
import { mkdirSync, writeFileSync } from 'node:fs';
import { faultsDocument } from '../test/faults/document.ts';

mkdirSync(new URL('../docs', import.meta.url), { recursive: true });
writeFileSync(new URL('../docs/faults.md', import.meta.url), faultsDocument());
