import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';

import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { modelFiles } from './model.ts';
import { leftovers, temporaryFolder, testEnv, tree } from './run.ts';
import { REPO, gitSha1, startHub } from './server.ts';
import { spawnWeights } from './spawn.ts';

/**
 * Kills a pull with SIGKILL at random moments, `kills` times, each time looking at what it left: no file has its final
 * name without its final content. A pull that is let run then succeeds and leaves nothing beside the model.
 * @returns how many requests went on in the middle of a file
 */
export async function killPulls(kills: number): Promise<number> {
  const files = modelFiles(1_000_000);
  await using hub = await startHub({ files, paceMs: 8 });
  let killed = 0;
  while (killed < kills) {
    using home = temporaryFolder();
    const env = testEnv(home.path, hub.endpoint);
    // Three kills at most in one folder, then a pull that is let run.
    for (let here = 0; here < 3 && killed < kills; here++) {
      const before = hub.requests.length;
      const { child, ended } = spawnWeights(['pull', REPO], env);
      // Half of the kills come anywhere after the first request, half of them while the weights are being written.
      const begun = killed % 2 === 0 ? () => hub.requests.length > before : () => writing(home.path);
      while (!begun() && child.exitCode === null) await sleep(2);
      await sleep(Math.random() * (killed % 2 === 0 ? 500 : 50));
      child.kill('SIGKILL');
      const { code } = await ended;
      expectWholeFiles(home.path);
      if (code === 0) break;
      killed++;
    }
    const last = await spawnWeights(['pull', REPO], env).ended;
    expect(last).toMatchObject({ code: 0, stderr: '' });
    expectWholeFiles(home.path);
    expect(leftovers(home.path)).toEqual([]);
    expect(readFileSync(join(last.stdout.trim(), 'model.safetensors')).equals(files['model.safetensors'])).toBe(true);
  }
  return hub.requests.filter(({ headers }) => headers.range !== undefined).length;
}

function writing(home: string): boolean {
  return tree(home).some(
    (path) =>
      path.endsWith('.incomplete') && (statSync(join(home, path), { throwIfNoEntry: false })?.size ?? 0) > 100_000,
  );
}

/** Every blob without a temporary name has the content that its name promises, and every link of a snapshot leads to one. */
function expectWholeFiles(home: string): void {
  for (const path of tree(home)) {
    if (path.includes('/snapshots/')) expect(() => readFileSync(join(home, path))).not.toThrow();
    if (!path.includes('/blobs/') || path.endsWith('.incomplete')) continue;
    const content = readFileSync(join(home, path));
    const name = basename(path);
    expect(name.length === 64 ? createHash('sha256').update(content).digest('hex') : gitSha1(content)).toBe(name);
  }
}
