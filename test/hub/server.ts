import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * A hub on the loopback device: the API on 127.0.0.1, and a content server under another host name (localhost) and port,
 * to which large files are redirected as the real hub does it. Tests make it misbehave through `intercept`.
 */
export interface TestHub extends AsyncDisposable {
  endpoint: string;
  cdn: string;
  commit: string;
  requests: Seen[];
  /** Requests for the content of a file, redirects not counted. */
  downloads(name: string): Seen[];
}

export interface Seen {
  server: 'hub' | 'cdn';
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
}

/** Answers the request itself and returns true, or leaves it to the hub. */
export type Intercept = (request: Seen, response: ServerResponse, hub: TestHub) => boolean | Promise<boolean>;

export interface TestHubOptions {
  files: Record<string, Buffer>;
  repo?: string;
  commit?: string;
  /** Whether ranges are served; real content servers do, some proxies do not. */
  ranges?: boolean;
  /** Whether the listing has sizes and digests, as the hub's has and some mirrors' have not. */
  blobs?: boolean;
  /** Names that are stored as large files: SHA-256 and the content server. */
  large?: RegExp;
  /** File names that the listing adds. */
  extraNames?: string[];
  intercept?: Intercept;
  /** Milliseconds between two 16 KiB pieces of a large file. */
  paceMs?: number;
}

export const COMMIT = '1234567890abcdef1234567890abcdef12345678';
export const REPO = 'test-org/tiny-bert';

export function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

export function gitSha1(content: Buffer): string {
  return createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
}

export async function startHub(options: TestHubOptions): Promise<TestHub> {
  const repo = options.repo ?? REPO;
  const commit = options.commit ?? COMMIT;
  const large = options.large ?? /\.safetensors$/;
  const requests: Seen[] = [];

  const handle = (server: Seen['server']) => (message: IncomingMessage, response: ServerResponse) => {
    const seen: Seen = { server, method: message.method ?? '', url: message.url ?? '', headers: message.headers };
    requests.push(seen);
    // A client that goes away in the middle is part of the tests.
    response.on('error', () => undefined);
    void (async () => {
      if (options.intercept !== undefined && (await options.intercept(seen, response, hub))) return;
      const path = new URL(seen.url, 'http://any').pathname;
      if (server === 'cdn') {
        const name = decodeURIComponent(path.slice(1));
        const content = options.files[name];
        if (content === undefined) return void response.writeHead(404).end();
        return sendFile(seen, response, content, `"cdn-${sha256(content).slice(0, 16)}"`, options);
      }
      const api = `/api/models/${repo}/revision/`;
      if (path.startsWith(api)) return sendListing(response, decodeURIComponent(path.slice(api.length)));
      const resolve = `/${repo}/resolve/${commit}/`;
      if (path.startsWith(resolve)) return sendResolved(seen, response, decodeURIComponent(path.slice(resolve.length)));
      response.writeHead(401, { 'x-error-code': 'RepoNotFound' }).end('Repository not found');
    })();
  };

  const sendListing = (response: ServerResponse, revision: string) => {
    if (revision !== commit && revision !== 'main')
      return void response.writeHead(404, { 'x-error-code': 'RevisionNotFound' }).end();
    const siblings = Object.entries(options.files).map(([rfilename, content]) => {
      if (options.blobs === false) return { rfilename };
      const lfs = large.test(rfilename)
        ? { lfs: { sha256: sha256(content), size: content.length, pointerSize: 134 } }
        : {};
      return { rfilename, size: content.length, blobId: gitSha1(content), ...lfs };
    });
    const body = {
      id: repo,
      sha: commit,
      siblings: [...siblings, ...(options.extraNames ?? []).map((rfilename) => ({ rfilename }))],
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

  const sendResolved = (seen: Seen, response: ServerResponse, name: string) => {
    const content = options.files[name];
    if (content === undefined) return void response.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end();
    response.setHeader('x-repo-commit', commit);
    if (!large.test(name)) return sendFile(seen, response, content, `"${gitSha1(content)}"`, options);
    response
      .writeHead(302, {
        location: `${hub.cdn}/${encodeURIComponent(name)}?signature=secret`,
        'x-linked-etag': `"${sha256(content)}"`,
        'x-linked-size': String(content.length),
      })
      .end();
  };

  const hubServer = await listen(createServer(handle('hub')), '127.0.0.1');
  const cdnServer = await listen(createServer(handle('cdn')), 'localhost');
  const hub: TestHub = {
    endpoint: `http://127.0.0.1:${(hubServer.address() as AddressInfo).port}`,
    cdn: `http://localhost:${(cdnServer.address() as AddressInfo).port}`,
    commit,
    requests,
    downloads: (name) =>
      requests.filter(({ server, method, url }) => {
        if (method !== 'GET' || url.startsWith('/api/')) return false;
        return (
          server === (large.test(name) ? 'cdn' : 'hub') &&
          decodeURIComponent(new URL(url, 'http://any').pathname).endsWith(`/${name}`)
        );
      }),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(
        [hubServer, cdnServer].map(
          (server) =>
            new Promise((done) => {
              server.close(done);
              server.closeAllConnections();
            }),
        ),
      );
    },
  };
  return hub;
}

function listen(server: Server, host: string): Promise<Server> {
  return new Promise((done) => server.listen(0, host, () => done(server)));
}

/** A file as a content server sends it: the whole, or the rest from where the request says, if its If-Range still holds. */
export function sendFile(
  seen: Seen,
  response: ServerResponse,
  content: Buffer,
  etag: string,
  options: Pick<TestHubOptions, 'ranges' | 'paceMs'>,
): void {
  const range = /^bytes=(\d+)-$/.exec(seen.headers.range ?? '');
  const ifRange = seen.headers['if-range'];
  const partial = options.ranges !== false && range !== null && (ifRange === undefined || ifRange === etag);
  const start = partial ? Number(range[1]) : 0;
  const headers = { etag, ...(options.ranges !== false && { 'accept-ranges': 'bytes' }) };
  if (partial && start >= content.length) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(start);
  response.writeHead(partial ? 206 : 200, {
    ...headers,
    'content-length': body.length,
    ...(partial && { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }),
  });
  if (seen.method === 'HEAD') return void response.end();
  if (!options.paceMs) return void response.end(body);
  void drip(response, body, options.paceMs);
}

async function drip(response: ServerResponse, body: Buffer, paceMs: number): Promise<void> {
  for (let at = 0; at < body.length && !response.destroyed; at += 16_384) {
    response.write(body.subarray(at, at + 16_384));
    await new Promise((next) => setTimeout(next, paceMs));
  }
  response.end();
}
