import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { getActiveResourcesInfo, platform, stderr } from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { GpuError } from '../errors.ts';

const STDERR = 2;

/**
 * Runs a synchronous function with file descriptor 2 pointing at /dev/null, then gives it back: Dawn and Vulkan drivers
 * print warnings to it from C++ that mean nothing to the user. JavaScript's own stderr cannot be lost meanwhile, because
 * nothing else runs.
 *
 * Plain Node has no dup2: the descriptor is closed and the same file opened anew through /proc, which takes the lowest
 * free number, 2. Where that would not be the same thing (see canReopen) the function runs with its noise.
 */
export function withQuietStderr<T>(run: () => T): T {
  const restore = silence();
  try {
    return run();
  } finally {
    restore?.();
  }
}

function silence(): (() => void) | null {
  if (!canReopen()) return null;
  let kept: number;
  let devNull: number;
  try {
    kept = openSync(`/proc/self/fd/${STDERR}`, 'a');
    devNull = openSync('/dev/null', 'w');
  } catch {
    return null;
  }
  replaceStderr(devNull);
  return () => replaceStderr(kept);
}

/** Makes descriptor 2 what `source` is, and closes `source`. */
function replaceStderr(source: number): void {
  closeSync(STDERR);
  const opened = openSync(`/proc/self/fd/${source}`, 'a');
  closeSync(source);
  if (opened !== STDERR) throw new GpuError('another thread took the number of stderr while it was replaced');
}

/**
 * Whether stderr opened anew is as good as the old one. A terminal, a pipe and a file that is appended to are. A socket
 * cannot be opened, and a file not in append mode would lose the offset that it shares with other processes. Nothing may
 * be queued on the old descriptor, and no request to the thread pool may be under way that could take number 2.
 */
function canReopen(): boolean {
  if (platform !== 'linux' || !isMainThread) return false;
  if (stderr.writableLength > 0 || getActiveResourcesInfo().some((name) => name.includes('Req'))) return false;
  try {
    const kind = fstatSync(STDERR);
    if (kind.isCharacterDevice() || kind.isFIFO()) return true;
    return kind.isFile() && (flagsOf(STDERR) & APPEND) !== 0;
  } catch {
    return false;
  }
}

/** Linux's O_APPEND, as /proc prints it. */
const APPEND = 0o2000;

function flagsOf(descriptor: number): number {
  return Number.parseInt(/^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))![1], 8);
}
