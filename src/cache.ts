import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { env, platform } from 'node:process';

/**
 * The folder of this user in which layer8 keeps what it can make again: `$XDG_CACHE_HOME/layer8` or `~/.cache/layer8`
 * on Linux, `~/Library/Caches/layer8` on macOS, `%LOCALAPPDATA%\layer8\Cache` on Windows. It need not exist.
 *
 * A relative XDG_CACHE_HOME is ignored, as the XDG base directory specification asks.
 */
export function cacheFolder(): string {
  if (env.XDG_CACHE_HOME && isAbsolute(env.XDG_CACHE_HOME)) return join(env.XDG_CACHE_HOME, 'layer8');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'layer8');
  if (platform === 'win32') return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'layer8', 'Cache');
  return join(homedir(), '.cache', 'layer8');
}
