import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IoError } from '../errors.ts';
import { isRunning } from '../temporary.ts';
import { diskError, makeFolder } from './disk.ts';
import { interrupted } from './failures.ts';

const HEARTBEAT_MS = 1000;
/** A lock whose heartbeat stands still for this long belongs to nobody: killed on another machine, or before it could sign. */
const STALE_MS = 15_000;
const POLL_MS = 100;

export interface LockOptions {
  signal?: AbortSignal | undefined;
  /** Called once if somebody else holds the lock. */
  onWait?: (() => void) | undefined;
  staleMs?: number;
}

/**
 * Runs `work` while no other process that asks for the same lock file runs its own.
 *
 * The owner signs the file and touches it every second. A waiter takes it over at once if the owner was a process of this
 * machine that is gone, else if it has seen no touch for 15 s by its own clock (clocks of two machines need not agree).
 * The lock saves work; nothing relies on it to be right: two processes that both believe to hold it write the same bytes
 * to the same places of a partial file, which is checked before it gets its name.
 * @throws IoError where the lock file cannot be written, InterruptedError on the signal
 */
export async function withLock<T>(path: string, options: LockOptions, work: () => Promise<T>): Promise<T> {
  const signature = JSON.stringify({ pid: process.pid, host: hostname(), id: randomUUID() });
  await acquire(path, signature, options);
  const heartbeat = setInterval(() => {
    const now = new Date();
    void utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    // Somebody may have taken the lock over while this process was suspended: theirs stays.
    if ((await read(path)) === signature) await rm(path, { force: true }).catch(() => undefined);
    // What a process leaves that is killed in the middle of a take-over.
    await rm(graveOf(path), { force: true }).catch(() => undefined);
  }
}

async function acquire(path: string, signature: string, options: LockOptions): Promise<void> {
  let beat = '';
  let beatSeen = performance.now();
  let announced = false;
  let vanished = 0;
  for (;;) {
    if (options.signal?.aborted) throw interrupted();
    if (await create(path, signature)) return;
    const owner = await read(path);
    if (owner === null) {
      // Released in between. Not twenty times in a row: then something that is no lock lies there.
      if (++vanished > 20) throw new IoError(`cannot take the lock ${path}: a file is in the way that cannot be read`);
    } else {
      vanished = 0;
      const seen =
        owner +
        (await stat(path).then(
          (file) => file.mtimeMs,
          () => 0,
        ));
      if (beat !== seen) beatSeen = performance.now();
      beat = seen;
      if (isGone(owner) || performance.now() - beatSeen > (options.staleMs ?? STALE_MS)) {
        await takeAway(path, owner);
        continue;
      }
      if (!announced) options.onWait?.();
      announced = true;
    }
    await sleep(POLL_MS * (0.5 + Math.random()));
  }
}

/** Whether the lock file could be created: false if there is one. */
async function create(path: string, signature: string): Promise<boolean> {
  await makeFolder(dirname(path));
  try {
    await writeFile(path, signature, { flag: 'wx' });
    return true;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // ENOENT: another process removed the folder in between. EPERM: Windows, while a file of this name is being deleted.
    if (code === 'EEXIST' || code === 'ENOENT' || (code === 'EPERM' && process.platform === 'win32')) return false;
    throw diskError(error, 'cannot write the lock file', path);
  }
}

async function read(path: string): Promise<string | null> {
  return readFile(path, 'utf8').catch(() => null);
}

/** Whether the lock was signed by a process of this machine that no longer runs. */
function isGone(signature: string): boolean {
  let owner: { pid?: unknown; host?: unknown };
  try {
    owner = JSON.parse(signature) as typeof owner;
  } catch {
    return false;
  }
  if (owner.host !== hostname() || typeof owner.pid !== 'number') return false;
  return !isRunning(owner.pid);
}

/** Removes the lock of an owner that is gone. By renaming first: of several waiters that saw it, one moves it. */
async function takeAway(path: string, owner: string): Promise<void> {
  const grave = graveOf(path);
  try {
    await rename(path, grave);
  } catch {
    return;
  }
  // Another waiter was quicker and this is its fresh lock: give it back, unless a third has one by now.
  if ((await read(grave)) !== owner) await link(grave, path).catch(() => undefined);
  await rm(grave, { force: true });
}

function graveOf(path: string): string {
  return `${path}.stale`;
}
