import { InterruptedError, IoError, Layer8Error } from '../errors.ts';
import type { Answer } from './http.ts';
import type { HubSettings } from './settings.ts';

/** A failure that another try may cure. It is an IoError like any other once the tries are used up. */
export class TransientError extends IoError {
  /** Milliseconds the server asked to wait; null where it said nothing. */
  afterMs: number | null = null;
}

/** Why a connection was given up: the reasons that its AbortController carries. */
export const STALLED = Symbol('stalled');
export const INTERRUPTED = Symbol('interrupted');

/** Milliseconds of a Retry-After header, in seconds or as an HTTP date (RFC 9110, 10.2.3); null if it says nothing usable. */
export function retryAfterMs(header: string | null, now = Date.now()): number | null {
  if (header === null) return null;
  if (/^\s*\d+\s*$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** The error of an answer that is not what was asked for: `what` is that, and `repo` the model it belongs to. */
export function statusError(answer: Answer, what: string, repo: string, settings: HubSettings): IoError {
  const { status, from } = answer;
  const code = answer.headers.get('x-error-code');
  const message = `cannot get ${what}: ${from} answered ${status}${STATUS[status] ? ` (${STATUS[status]})` : ''}`;
  const page = `${settings.endpoint}/${repo}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const afterMs = retryAfterMs(answer.headers.get('retry-after'));
    const asked = afterMs === null ? 'Wait a while' : `The server asks for a pause of ${Math.ceil(afterMs / 1000)} s`;
    const login = status === 429 && settings.token === null ? ' A token in HF_TOKEN raises the limit.' : '';
    const error = new TransientError(message, {
      hint: `${asked}, then run the command again: it goes on where it stopped.${login}`,
    });
    error.afterMs = afterMs;
    return error;
  }
  if (code === 'GatedRepo') {
    const token =
      settings.token === null ? ', then set HF_TOKEN to a token of that account' : ' with the account of HF_TOKEN';
    return new IoError(`${message}: the model is gated`, { hint: `Accept its terms at ${page}${token}.` });
  }
  if (code === 'RevisionNotFound') {
    return new IoError(`${message}: no such revision`, {
      hint: `The branches, tags and commits are listed at ${page}/commits/main.`,
    });
  }
  if (status === 401) {
    // The hub says 401, not 404, for a repository that does not exist: it does not tell strangers what does.
    const hint =
      settings.token === null
        ? `Check the spelling: the hub says the same of a name that does not exist. If ${page} is private or gated, set HF_TOKEN.`
        : 'HF_TOKEN was not accepted: check it, or unset it for a public model. Check the spelling of the name, too.';
    return new IoError(message, { hint });
  }
  if (status === 403) {
    return new IoError(message, {
      hint: `The model may be gated: accept its terms at ${page}${settings.token === null ? ' and set HF_TOKEN' : ' with the account of HF_TOKEN, and check that this token may read it'}.`,
    });
  }
  if (status === 404)
    return new IoError(message, { hint: `Check the spelling of the name and the revision at ${page}.` });
  return new IoError(message);
}

const STATUS: Record<number, string> = {
  401: 'not authorised',
  403: 'forbidden',
  404: 'not found',
  429: 'too many requests',
  500: 'internal server error',
  502: 'bad gateway',
  503: 'service unavailable',
  504: 'gateway timeout',
};

/** The typed error of a request or a body that fetch gave up. */
export function networkError(error: unknown, url: URL, settings: HubSettings): Layer8Error {
  if (error instanceof Layer8Error) return error;
  if (error === INTERRUPTED) return interrupted();
  const again = 'Run the command again: it goes on where it stopped.';
  if (error === STALLED) {
    return new TransientError(`the download stalled: no byte from ${url.host} for ${settings.stallMs / 1000} s`, {
      hint: `${again} HF_HUB_DOWNLOAD_TIMEOUT=SECONDS sets the patience.`,
    });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const detail = cause instanceof Error ? cause.message.trim().split('\n')[0] : String(cause);
  const permanent = PERMANENT[code];
  if (permanent !== undefined) {
    return new IoError(`cannot reach ${url.host}: ${permanent}`, {
      hint: `Check the network and HF_ENDPOINT (${settings.endpoint}).${proxyHint()}`,
      cause: error,
    });
  }
  if (/^ERR_(SSL|TLS)|CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) {
    return new IoError(`no secure connection to ${url.host}: ${detail}`, {
      hint: 'Where a proxy signs with a certificate of its own, name it in NODE_EXTRA_CA_CERTS. Check the clock and HF_ENDPOINT, too.',
      cause: error,
    });
  }
  const reason = TRANSIENT[code] ?? (code === '' ? detail : `${detail} (${code})`);
  return new TransientError(`the connection to ${url.host} failed: ${reason}`, {
    hint: `${again}${proxyHint()}`,
    cause: error,
  });
}

const PERMANENT: Record<string, string> = {
  ENOTFOUND: 'its name cannot be found (DNS)',
  ENETUNREACH: 'there is no network',
  EHOSTUNREACH: 'there is no way to this host',
};

const TRANSIENT: Record<string, string> = {
  EAI_AGAIN: 'its name could not be looked up (DNS)',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'cut off',
  EPIPE: 'cut off',
  ETIMEDOUT: 'no answer',
  UND_ERR_SOCKET: 'cut off',
  UND_ERR_CONNECT_TIMEOUT: 'no answer',
};

function proxyHint(): string {
  const proxied = process.env.HTTPS_PROXY || process.env.https_proxy;
  return proxied ? ' HTTPS_PROXY is set, and Node uses it from version 24 on only, with NODE_USE_ENV_PROXY=1.' : '';
}

/** What a request comes to where none may be made. */
export function offlineError(address: string): IoError {
  return new IoError(`HF_HUB_OFFLINE is set: no request to ${new URL(address).host} is made`, {
    hint: 'Unset HF_HUB_OFFLINE to download.',
  });
}

/** Ctrl-C, SIGTERM or the caller's signal. */
export function interrupted(): InterruptedError {
  return new InterruptedError('the download was interrupted', {
    hint: 'Run the command again: it goes on where it stopped.',
  });
}

/** An address without its query and fragment. */
export function shown(url: URL): string {
  return `${url.origin}${url.pathname}`;
}
