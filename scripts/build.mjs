// Compiles src/ and kernels/*.ts into dist/, and copies the kernels that are plain WGSL beside them.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
rmSync(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(dirname(typescript), 'bin', 'tsc'), '-p', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
  cwd: root,
});
mkdirSync(join(root, 'dist', 'kernels'), { recursive: true });
for (const file of readdirSync(join(root, 'kernels'))) {
  if (file.endsWith('.wgsl')) cpSync(join(root, 'kernels', file), join(root, 'dist', 'kernels', file));
}
chmodSync(join(root, 'dist', 'src', 'cli.js'), 0o755);
