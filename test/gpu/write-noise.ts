// What the tests of quiet.ts run: noise written to descriptor 2 while it is quiet, and words before and after.
import { spawnSync } from 'node:child_process';
import { readdirSync, writeSync } from 'node:fs';
import { withQuietStderr } from '../../src/gpu/quiet.ts';

const openDescriptors = () => readdirSync('/proc/self/fd').length;

console.error('before');
const before = openDescriptors();
for (let time = 0; time < 5; time++) withQuietStderr(() => writeSync(2, 'noise\n'));
const left = openDescriptors() - before;
console.error('after, written by JavaScript');
writeSync(2, 'after, written to the descriptor\n');
spawnSync('sh', ['-c', 'echo after, written by a child >&2'], { stdio: 'inherit' });
console.error(`descriptors left open: ${left}`);
