import { IoError, ModelError } from '../errors.ts';
import { checkedTarget } from './source.ts';
import type { ByteSource, ModelFolder } from './source.ts';

/** How requests are made. */
export interface HttpOptions {
  /** Default: the platform's own `fetch`. */
  fetch?: typeof fetch;
  /** Sent with each request: an authorization, say. */
  headers?: Record<string, string>;
  /** Milliseconds one range may take, body included. Default 60,000. */
  timeoutMs?: number;
}

/** Reads a file on a web server by ranges (RFC 9110, section 14), so that a page fetches only the layers it runs. */
export class HttpSource implements ByteSource {
  readonly name: string;
  readonly #options: HttpOptions;
  readonly #size: number;
  readonly #etag: string | null;

  private constructor(url: string, options: HttpOptions, size: number, etag: string | null) {
    this.name = url;
    this.#options = options;
    this.#size = size;
    this.#etag = etag;
  }

  /**
   * Asks for one byte: the answer tells the size, and whether the server serves ranges at all.
   * @returns undefined where the server says that there is no such file (404, 410)
   * @throws IoError where it cannot be reached, refuses, or ignores Range
   */
  static async open(url: string, options: HttpOptions = {}): Promise<HttpSource | undefined> {
    const response = await request(url, options, 0, 1);
    try {
      if (response.status === 404 || response.status === 410) return undefined;
      // An empty file has no byte 0: 416, with the size 0 in Content-Range.
      if (response.status === 416 && totalSize(response) === 0) return new HttpSource(url, options, 0, null);
      const size = checkRange(url, response, 0, 1);
      return new HttpSource(url, options, size, response.headers.get('etag'));
    } finally {
      await response.body?.cancel();
    }
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const target = checkedTarget(this, this.#size, offset, length, into);
    if (length === 0) return target;
    const response = await request(this.name, this.#options, offset, length);
    try {
      const size = checkRange(this.name, response, offset, length);
      if (size !== this.#size || response.headers.get('etag') !== this.#etag) {
        throw new ModelError(`${this.name} changed while it was read`, { hint: 'Run again.' });
      }
      await fill(this.name, response, target);
    } finally {
      if (response.body !== null && !response.body.locked) await response.body.cancel();
    }
    return target;
  }
}

/** A model folder behind a URL, such as `https://huggingface.co/google-bert/bert-base-uncased/resolve/main/`. */
export function httpFolder(baseUrl: string, options: HttpOptions = {}): ModelFolder {
  const base = baseUrl.endsWith('/') ? baseUrl : `${baseUrl}/`;
  return { name: base, open: (fileName) => HttpSource.open(base + encodeURIComponent(fileName), options) };
}

async function request(url: string, options: HttpOptions, offset: number, length: number): Promise<Response> {
  try {
    return await (options.fetch ?? fetch)(url, {
      headers: {
        ...options.headers,
        // A range of a compressed body is a range of other bytes.
        'Accept-Encoding': 'identity',
        Range: `bytes=${offset}-${offset + length - 1}`,
      },
      signal: AbortSignal.timeout(options.timeoutMs ?? 60_000),
    });
  } catch (cause) {
    throw cannotFetch(url, cause);
  }
}

/** The size of the whole file, where the response is the range asked for; throws otherwise. */
function checkRange(url: string, response: Response, offset: number, length: number): number {
  if (response.status === 200) {
    throw new IoError(`the server ignores Range, and would send the whole of ${url}`, {
      hint: 'Download the model to a folder first, or serve it from one that knows ranges.',
    });
  }
  if (response.status !== 206) {
    throw new IoError(`cannot read ${url}: HTTP ${response.status} ${response.statusText}`.trimEnd());
  }
  const size = totalSize(response);
  const range = response.headers.get('content-range') ?? 'none';
  if (size === undefined || !range.startsWith(`bytes ${offset}-${offset + length - 1}/`)) {
    throw new IoError(`asked ${url} for bytes ${offset}-${offset + length - 1}, got the range "${range}"`, {
      hint: 'In a page, the server has to expose Content-Range (Access-Control-Expose-Headers).',
    });
  }
  return size;
}

function totalSize(response: Response): number | undefined {
  const match = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  const size = Number(match?.[1] ?? NaN);
  return Number.isSafeInteger(size) ? size : undefined;
}

async function fill(url: string, response: Response, target: Uint8Array): Promise<void> {
  let done = 0;
  const reader = response.body?.getReader();
  try {
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
      if (done + part.value.byteLength > target.byteLength) {
        throw new IoError(`${url}: the server sent more than the ${target.byteLength} bytes it was asked for`);
      }
      target.set(part.value, done);
      done += part.value.byteLength;
    }
  } catch (cause) {
    await reader?.cancel().catch(() => undefined);
    throw cause instanceof IoError ? cause : cannotFetch(url, cause);
  }
  if (done < target.byteLength) {
    throw new IoError(`${url}: the server sent ${done} of the ${target.byteLength} bytes it was asked for`);
  }
}

function cannotFetch(url: string, cause: unknown): IoError {
  const error = cause as Error & { cause?: { code?: string; message?: string } };
  if (error.name === 'TimeoutError') return new IoError(`no answer from ${url} in time`, { cause });
  const why = error.cause?.code ?? error.cause?.message ?? error.message;
  return new IoError(`cannot reach ${url} (${why})`, { hint: 'Check the address and the network.', cause });
}
