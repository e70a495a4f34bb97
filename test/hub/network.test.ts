import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { retryAfterMs } from '../../src/hub/failures.ts';
import { modelFiles } from './model.ts';
import { runWeights, temporaryFolder, testEnv, tree } from './run.ts';
import type { Intercept } from './server.ts';
import { COMMIT, REPO, startHub } from './server.ts';

const isApi = (url: string) => url.startsWith('/api/');

/** Pulls from a hub that answers through `intercept`. */
async function pullFrom(intercept: Intercept, more: NodeJS.ProcessEnv = {}, name = REPO) {
  using home = temporaryFolder();
  await using hub = await startHub({ files: modelFiles(50_000), intercept });
  const started = performance.now();
  const ran = await runWeights(['pull', name], testEnv(home.path, hub.endpoint, more));
  return { ...ran, requests: hub.requests, files: tree(home.path), ms: performance.now() - started, hub };
}

/** Answers the first `times` API requests with a status. */
function fails(times: number, status: number, headers: Record<string, string> = {}): Intercept {
  let count = 0;
  return ({ url }, response) => {
    if (!isApi(url) || ++count > times) return false;
    response.writeHead(status, headers).end();
    return true;
  };
}

test('the token goes to the hub and not to the content server it redirects to', async () => {
  const { code, requests } = await pullFrom(() => false, { HF_TOKEN: 'hf_secret' });
  expect(code).toBe(0);
  expect(new Set(requests.map(({ server }) => server))).toEqual(new Set(['hub', 'cdn']));
  for (const { server, headers } of requests)
    expect(headers.authorization).toBe(server === 'hub' ? 'Bearer hf_secret' : undefined);
});

test('the token does not come back with a redirect from elsewhere to the hub', async () => {
  const { requests } = await pullFrom(
    ({ server, url }, response, hub) => {
      if (server !== 'cdn') return false;
      response.writeHead(302, { location: `${hub.endpoint}/elsewhere${url}` }).end();
      return true;
    },
    { HF_TOKEN: 'hf_secret' },
  );
  const back = requests.find(({ url }) => url.startsWith('/elsewhere'));
  expect(back?.server).toBe('hub');
  expect(back?.headers.authorization).toBeUndefined();
});

test('a redirect on the hub itself, as for a renamed model, keeps the token', async () => {
  const { code, requests } = await pullFrom(
    ({ url }, response) => {
      if (!url.includes('/old-name/')) return false;
      response.writeHead(307, { location: url.replace('old-name', 'tiny-bert') }).end();
      return true;
    },
    { HF_TOKEN: 'hf_secret' },
    'test-org/old-name',
  );
  expect(code).toBe(0);
  expect(
    requests.filter(({ server }) => server === 'hub').every(({ headers }) => headers.authorization !== undefined),
  ).toBe(true);
});

// fault 54
test.each(['file:///etc/passwd', 'ftp://127.0.0.1/x', 'https://127.0.0.1/x', 'data:text/plain,x', 'javascript:0'])(
  'a redirect to %s is refused',
  async (location) => {
    const { code, stderr, files, requests } = await pullFrom(({ server }, response) => {
      if (server === 'cdn') response.writeHead(302, { location }).end();
      return server === 'cdn';
    });
    expect(code).toBe(7);
    expect(stderr).toContain(`refused a redirect to another scheme: from http://localhost`);
    expect(stderr).not.toContain('signature=secret');
    expect(requests.filter(({ server }) => server === 'cdn')).toHaveLength(1);
    expect(files.filter((path) => /incomplete|model\.safetensors/.test(path))).toEqual([]);
  },
);

test.each([
  ['to itself', (url: string) => url],
  [
    'between two addresses',
    (url: string) => (url.includes('?b') ? url.replace('?b', '?a') : url.replace(/\?.*/, '?b')),
  ],
])('a redirect loop %s is an error', async (_, next) => {
  const { code, stderr } = await pullFrom(({ server, url }, response) => {
    if (server === 'cdn') response.writeHead(302, { location: next(url) }).end();
    return server === 'cdn';
  });
  expect(code).toBe(7);
  expect(stderr).toContain('redirects run in a circle');
});

// fault 54
test('redirects without end are given up', async () => {
  let count = 0;
  const { code, stderr, requests } = await pullFrom(({ server }, response) => {
    if (server === 'cdn') response.writeHead(302, { location: `/hop${++count}` }).end();
    return server === 'cdn';
  });
  expect(code).toBe(7);
  expect(stderr).toContain('too many redirects (10)');
  expect(requests.filter(({ server }) => server === 'cdn').length).toBeLessThanOrEqual(11);
});

test.each(['http://', 'http://user:word@localhost/x', 'http://[::1'])(
  'a redirect to %s is refused',
  async (location) => {
    const { code, stderr } = await pullFrom(({ server }, response) => {
      if (server === 'cdn') response.writeHead(302, { location }).end();
      return server === 'cdn';
    });
    expect(code).toBe(7);
    expect(stderr).toContain('redirect to ');
  },
);

// fault 50
test('5xx and 429 are tried again, at most six times in a row', async () => {
  for (const status of [500, 502, 503, 504, 429]) expect((await pullFrom(fails(5, status))).code).toBe(0);
  const { code, stderr, requests } = await pullFrom(fails(99, 503));
  expect(code).toBe(7);
  expect(stderr).toContain('answered 503 (service unavailable)');
  expect(stderr).toContain('run the command again');
  expect(requests).toHaveLength(6);
});

// fault 50
test('Retry-After is honoured, in seconds and as a date; too long a pause is told instead', async () => {
  const seconds = await pullFrom(fails(1, 429, { 'retry-after': '1' }));
  expect(seconds.code).toBe(0);
  expect(seconds.ms).toBeGreaterThan(990);
  const date = await pullFrom(fails(1, 503, { 'retry-after': new Date(Date.now() + 2000).toUTCString() }));
  expect(date.code).toBe(0);
  expect(date.ms).toBeGreaterThan(500);
  const long = await pullFrom(fails(1, 429, { 'retry-after': '3600' }));
  expect(long.code).toBe(7);
  expect(long.stderr).toContain('asks for a pause of 3600 s');
  expect(long.stderr).toContain('HF_TOKEN raises the limit');
  expect(retryAfterMs('Wed, 21 Oct 2015 07:28:10 GMT', Date.parse('2015-10-21T07:28:00Z'))).toBe(10_000);
  expect(retryAfterMs('Wed, 21 Oct 2015 07:28:10 GMT', Date.parse('2016-01-01T00:00:00Z'))).toBe(0);
  expect(retryAfterMs('soon')).toBeNull();
});

test.each([
  [
    'no such model',
    401,
    { 'x-error-code': 'RepoNotFound' },
    {},
    ['401 (not authorised)', 'Check the spelling', 'set HF_TOKEN'],
  ],
  ['a bad token', 401, {}, { HF_TOKEN: 'bad' }, ['HF_TOKEN was not accepted']],
  [
    'a gated model',
    401,
    { 'x-error-code': 'GatedRepo' },
    {},
    ['is gated', 'Accept its terms at http://127.0.0.1', 'set HF_TOKEN'],
  ],
  [
    'a gated model with a token',
    403,
    { 'x-error-code': 'GatedRepo' },
    { HF_TOKEN: 'x' },
    ['is gated', 'with the account of HF_TOKEN'],
  ],
  ['forbidden', 403, {}, {}, ['403 (forbidden)', 'may be gated', 'HF_TOKEN']],
  ['not found', 404, {}, {}, ['404 (not found)', 'Check the spelling']],
  ['no such revision', 404, { 'x-error-code': 'RevisionNotFound' }, {}, ['no such revision', '/commits/main']],
  ['a teapot', 418, {}, {}, ['answered 418']],
])('%s: what to do, and no second try', async (_, status, headers, env, texts) => {
  const { code, stderr, requests, files } = await pullFrom(fails(99, status, headers as Record<string, string>), env);
  expect(code).toBe(7);
  for (const text of texts) expect(stderr).toContain(text);
  expect(stderr).toContain(`cannot get ${REPO}@main`);
  expect(requests).toHaveLength(1);
  expect(files).toEqual([]);
});

// fault 49
test('no network: refused, unknown name, no TLS, hung up', async () => {
  using home = temporaryFolder();
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as AddressInfo;
  server.on('connection', (socket) => socket.destroy());
  const hungUp = await runWeights(['pull', REPO], testEnv(home.path, `http://127.0.0.1:${port}`));
  expect(hungUp).toMatchObject({
    code: 7,
    stderr: expect.stringContaining(`the connection to 127.0.0.1:${port} failed: `),
  });
  await new Promise((done) => server.close(done));
  const refused = await runWeights(['pull', REPO], testEnv(home.path, `http://127.0.0.1:${port}`));
  expect(refused).toMatchObject({ code: 7, stderr: expect.stringContaining('connection refused') });
  const unknown = await runWeights(['pull', REPO], testEnv(home.path, 'https://no-such-host.invalid'));
  expect(unknown.code).toBe(7);
  expect(unknown.stderr).toMatch(/no-such-host\.invalid.*\(DNS\)/);
  await using hub = await startHub({ files: {} });
  const tls = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint.replace('http', 'https')));
  expect(tls).toMatchObject({ code: 7, stderr: expect.stringContaining('no secure connection to 127.0.0.1') });
  expect(tree(home.path)).toEqual([]);
});

// fault 59
test.each(['../../../etc/cron.d/x', '/etc/passwd', 'a/../../x', 'a\\..\\x', 'C:/x', 'x\0.json', './x', 'a//b', ''])(
  'a listing that names %j is refused',
  async (name) => {
    using home = temporaryFolder();
    await using hub = await startHub({ files: modelFiles(), extraNames: [name] });
    const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
    expect(ran.code).toBe(7);
    expect(ran.stderr).toContain('refused a file name from http://127.0.0.1');
    expect(ran.stderr).not.toContain('\0');
    expect(tree(home.path)).toEqual([]);
  },
);

// fault 59
test('an index that names a shard outside the folder, or one that is not there, is refused', async () => {
  for (const [shard, code, text] of [
    ['../../../x.safetensors', 7, 'refused a file name from model.safetensors.index.json'],
    ['model-00001-of-00001.safetensors', 3, 'which the model does not have'],
    [7, 3, 'something that is no file name'],
  ] as const) {
    using home = temporaryFolder();
    const { 'model.safetensors': _, ...files } = modelFiles();
    await using hub = await startHub({
      files: { ...files, 'model.safetensors.index.json': Buffer.from(JSON.stringify({ weight_map: { a: shard } })) },
    });
    const ran = await runWeights(['pull', REPO], testEnv(home.path, hub.endpoint));
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(text);
  }
});

test.each([
  ['is not JSON', '<html>'],
  ['names no commit', '{}'],
  ['names no commit', 'null'],
  ['names no commit', JSON.stringify({ sha: '../../x', siblings: [] })],
  ['lists no files', JSON.stringify({ sha: COMMIT, siblings: {} })],
  ['lists a file without a name', JSON.stringify({ sha: COMMIT, siblings: [null] })],
])('a listing that %s is refused', async (fault, body) => {
  const { code, stderr, files } = await pullFrom(({ url }, response) => {
    if (isApi(url)) response.end(body);
    return isApi(url);
  });
  expect(code).toBe(7);
  expect(stderr).toContain(fault);
  expect(files).toEqual([]);
});

test('a commit that the hub answers with another one for is refused', async () => {
  const { code, stderr } = await pullFrom(
    ({ url }, response) => {
      if (isApi(url)) response.end(JSON.stringify({ sha: 'f'.repeat(40), siblings: [] }));
      return isApi(url);
    },
    {},
    `${REPO}@${COMMIT}`,
  );
  expect(code).toBe(7);
  expect(stderr).toContain('is about another commit');
});

test('an endless listing is cut off', async () => {
  const { code, stderr } = await pullFrom(({ url }, response) => {
    if (!isApi(url)) return false;
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 32)));
    };
    response.on('drain', more);
    more();
    return true;
  });
  expect(code).toBe(7);
  expect(stderr).toContain('is longer than');
});
