import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** A name beside a file that only this process uses. Nothing lies there yet. */
export interface Temporary {
  readonly path: string;
  /** Gives it the name of the finished file, in one step. */
  moveTo(target: string): Promise<void>;
  remove(): Promise<void>;
}

/** Temporary files of this process. One that must end at once (a second Ctrl-C) removes them on its way out. */
const temporaries = new Set<string>();
process.on('exit', () => {
  for (const path of temporaries) rmSync(path, { force: true });
});

/**
 * A temporary file beside `path`, removed at the latest when the process ends. Those that processes left which were killed
 * are removed first.
 */
export async function temporaryBeside(path: string): Promise<Temporary> {
  await removeAbandoned(path);
  const temporary = join(dirname(path), `${prefixOf(path)}${process.pid}-${randomUUID()}${SUFFIX}`);
  temporaries.add(temporary);
  return {
    path: temporary,
    async moveTo(target) {
      await rename(temporary, target);
      temporaries.delete(temporary);
    },
    async remove() {
      await rm(temporary, { force: true });
      temporaries.delete(temporary);
    },
  };
}

/** Whether a process of this machine has that id. */
export function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    // EPERM: it runs, as another user.
    return (cause as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const SUFFIX = '.partial';

/** Names the machine too: in a folder that several share, the process ids of another say nothing here. */
function prefixOf(path: string): string {
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
  // A name that is as long as a file system takes has to grow.
  const start = Array.from(basename(path)).slice(0, 40).join('');
  return `.${start}.${machine}-`;
}

async function removeAbandoned(path: string): Promise<void> {
  const folder = dirname(path);
  const prefix = prefixOf(path);
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.startsWith(prefix) || !name.endsWith(SUFFIX)) continue;
    const pid = Number.parseInt(name.slice(prefix.length), 10);
    // A process id comes back: one's own may stand in the name of an earlier process's file.
    const inUse = pid === process.pid ? temporaries.has(join(folder, name)) : isRunning(pid);
    if (!inUse) await rm(join(folder, name), { force: true }).catch(() => undefined);
  }
}
