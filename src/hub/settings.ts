import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { UsageError } from '../errors.ts';

/**
 * Where the hub and its cache are and how patient a download is. The names of the variables are Hugging Face's own
 * (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables), so that one setting serves
 * every tool on the machine.
 */
export interface HubSettings {
  /** Base address of the hub, without a slash at its end. `HF_ENDPOINT`. */
  endpoint: string;
  /** Sent to the hub's own origin only. `HF_TOKEN`. */
  token: string | null;
  /** The folder that holds `models--ORG--NAME`. `HF_HUB_CACHE`, else `HF_HOME`/hub. */
  cacheFolder: string;
  /** No request may be made. `HF_HUB_OFFLINE`. */
  offline: boolean;
  /** Milliseconds without one byte after which a connection counts as stalled. `HF_HUB_DOWNLOAD_TIMEOUT`, in seconds. */
  stallMs: number;
  /** Milliseconds before the first retry; doubled for each further one. `LAYER8_RETRY_BASE_MS`, for slow or impatient networks. */
  retryBaseMs: number;
  /** Tries of one request, the first included. */
  attempts: number;
}

/**
 * The settings that the environment asks for.
 * @throws UsageError naming the variable whose value cannot be used
 */
export function hubSettings(env: NodeJS.ProcessEnv): HubSettings {
  return {
    endpoint: endpoint(env),
    token: env.HF_TOKEN?.trim() || null,
    cacheFolder: cacheFolder(env),
    offline: isTrue(env.HF_HUB_OFFLINE || env.TRANSFORMERS_OFFLINE),
    stallMs: positive(env, 'HF_HUB_DOWNLOAD_TIMEOUT', 30) * 1000,
    retryBaseMs: positive(env, 'LAYER8_RETRY_BASE_MS', 500),
    attempts: 6,
  };
}

function endpoint(env: NodeJS.ProcessEnv): string {
  const text = env.HF_ENDPOINT?.trim() || 'https://huggingface.co';
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new UsageError('HF_ENDPOINT is not an http or https address without a user name', {
      hint: 'Unset it for https://huggingface.co, or give the address of a mirror, such as https://hub.example.org.',
    });
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

/** Hugging Face's rule: HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME or ~/.cache, then huggingface/hub. */
function cacheFolder(env: NodeJS.ProcessEnv): string {
  const home = env.HOME || homedir();
  const expand = (path: string) => resolve(path.replace(/^~(?=$|[\\/])/, home));
  if (env.HF_HUB_CACHE) return expand(env.HF_HUB_CACHE);
  if (env.HF_HOME) return join(expand(env.HF_HOME), 'hub');
  return join(expand(env.XDG_CACHE_HOME || join(home, '.cache')), 'huggingface', 'hub');
}

function isTrue(text: string | undefined): boolean {
  return ['1', 'ON', 'YES', 'TRUE'].includes((text ?? '').toUpperCase());
}

function positive(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name]?.trim();
  if (!text) return fallback;
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new UsageError(`${name} takes a number above 0, not '${text}'`);
  return value;
}
