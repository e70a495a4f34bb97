import { setTimeout as sleep } from 'node:timers/promises';
import { IoError } from '../errors.ts';
import { formatBytes } from './disk.ts';
import { INTERRUPTED, STALLED, TransientError, interrupted, networkError, offlineError, shown } from './failures.ts';
import type { HubSettings } from './settings.ts';

const MAX_REDIRECTS = 10;
/** A server that asks for a longer pause than this is told to the user instead of waited for. */
const LONGEST_WAIT_MS = 120_000;

/** What a request carries besides its address. */
export interface RequestOptions {
  settings: HubSettings;
  method?: 'GET' | 'HEAD';
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** HEAD only: hand back a redirect to another origin instead of following it (the hub describes a file in that answer). */
  stopAtOtherOrigin?: boolean;
}

/** An answer whose body has not been read. Every way of reading it ends in a typed error if the connection stalls. */
export interface Answer {
  status: number;
  headers: Headers;
  /** The address that answered, after redirects, without its query: signed addresses carry secrets there. */
  from: string;
  chunks(): AsyncGenerator<Uint8Array>;
  /** Closes the connection without reading further. */
  close(): void;
}

/**
 * One request, its redirects followed by hand: at most ten, none to another scheme, and the token goes to the hub's own
 * origin and never again once a redirect has left it.
 * @throws IoError, TransientError where another try may help, InterruptedError on the signal
 */
export async function request(address: string, options: RequestOptions): Promise<Answer> {
  const { settings } = options;
  if (settings.offline) throw offlineError(address);
  const hub = new URL(settings.endpoint).origin;
  const seen = new Set<string>();
  let url = new URL(address);
  let tokenMayGo = settings.token !== null;
  for (;;) {
    tokenMayGo &&= url.origin === hub;
    seen.add(url.href);
    const answer = await send(url, tokenMayGo ? `Bearer ${settings.token}` : null, options);
    const location = answer.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(answer.status) || location === null) return answer;
    const next = redirectTarget(url, location);
    if (options.stopAtOtherOrigin && next.origin !== url.origin) return answer;
    answer.close();
    if (seen.has(next.href)) throw new IoError(`redirects run in a circle: ${shown(url)} leads back to ${shown(next)}`);
    if (seen.size > MAX_REDIRECTS)
      throw new IoError(`too many redirects (${MAX_REDIRECTS}): from ${shown(new URL(address))} to ${shown(next)}`);
    url = next;
  }
}

function redirectTarget(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href))
    throw new IoError(`redirect to something that is no address: from ${shown(from)}`);
  const next = new URL(location, from);
  if (next.protocol !== from.protocol) {
    throw new IoError(`refused a redirect to another scheme: from ${shown(from)} to ${next.protocol}//…`, {
      hint: 'Only http to http and https to https are followed. If the hub has moved to https, say so in HF_ENDPOINT.',
    });
  }
  if (next.username !== '' || next.password !== '')
    throw new IoError(`refused a redirect to an address with a user name: from ${shown(from)}`);
  return next;
}

/** One exchange, without redirects. */
async function send(url: URL, authorization: string | null, options: RequestOptions): Promise<Answer> {
  const { settings, signal } = options;
  const abort = new AbortController();
  const watch = watchdog(settings.stallMs, () => abort.abort(STALLED));
  const stop = () => abort.abort(INTERRUPTED);
  signal?.addEventListener('abort', stop);
  const end = () => {
    watch.stop();
    signal?.removeEventListener('abort', stop);
  };
  if (signal?.aborted) stop();
  let response: Response;
  try {
    response = await fetch(url, {
      method: options.method ?? 'GET',
      redirect: 'manual',
      signal: abort.signal,
      headers: {
        'user-agent': 'layer8',
        // Ranges and lengths are those of the file itself only if nothing is compressed on the way.
        'accept-encoding': 'identity',
        ...options.headers,
        ...(authorization !== null && { authorization }),
      },
    });
  } catch (error) {
    end();
    throw networkError(error, url, settings);
  }
  const close = () => {
    end();
    abort.abort();
  };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      if (response.body === null) return;
      for await (const chunk of response.body) {
        // Time that the caller spends on writing a chunk is not the server's.
        watch.pause();
        yield chunk;
        watch.resume();
      }
    } catch (error) {
      throw networkError(error, url, settings);
    } finally {
      close();
    }
  }
  return { status: response.status, headers: response.headers, from: shown(url), chunks, close };
}

/** Calls back when nothing has happened for `ms`. */
function watchdog(ms: number, bark: () => void): { pause(): void; resume(): void; stop(): void } {
  let timer: NodeJS.Timeout | null = setTimeout(bark, ms);
  let stopped = false;
  const pause = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    pause,
    resume: () => {
      pause();
      if (!stopped) timer = setTimeout(bark, ms);
    },
    stop: () => {
      stopped = true;
      pause();
    },
  };
}

/** The whole body as text. @throws IoError where it is longer than `limit` bytes */
export async function readText(answer: Answer, limit: number): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.chunks()) {
    length += chunk.length;
    if (length > limit) throw new IoError(`the answer of ${answer.from} is longer than ${formatBytes(limit)}`);
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}

/**
 * Runs `attempt` until it succeeds, fails for good, or has failed `settings.attempts` times in a row without `progress`
 * growing by a mebibyte. Waits as long as the server asked, else twice as long each time, with jitter (full jitter on
 * the upper half: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), so that many clients that
 * failed together do not come back together.
 */
export async function withRetries<T>(
  settings: HubSettings,
  signal: AbortSignal | undefined,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  let reached = progress();
  for (let failures = 1; ; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      if (progress() >= reached + (1 << 20)) failures = 1;
      reached = Math.max(reached, progress());
      const backoff = settings.retryBaseMs * 2 ** (failures - 1);
      const wait = error.afterMs ?? backoff * (0.5 + Math.random() / 2);
      if (failures >= settings.attempts || wait > LONGEST_WAIT_MS) throw error;
      await sleep(wait, undefined, signal && { signal }).catch(() => {
        throw interrupted();
      });
    }
  }
}
