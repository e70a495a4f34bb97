import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/bert/config.ts';
import { bertNames } from '../../src/bert/names.ts';
import { openCheckpoint } from '../../src/checkpoint/checkpoint.ts';
import { HttpSource, httpFolder } from '../../src/checkpoint/http.ts';
import { BlobSource } from '../../src/checkpoint/source.ts';
import { IoError, ModelError, UsageError } from '../../src/errors.ts';
import { TINY, TINY_MODELS, expectFailure } from './support.ts';

/** Runs `work` against a web server on this machine. */
async function withServer(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
  work: (base: string) => Promise<void>,
): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Answers a request for a range as RFC 9110 says; returns the bytes sent. */
function sendRange(request: IncomingMessage, response: ServerResponse, bytes: Uint8Array, etag = '"1"'): number {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (Number(first) >= bytes.byteLength) {
    response.writeHead(416, { 'Content-Range': `bytes */${bytes.byteLength}` }).end();
    return 0;
  }
  const body = bytes.subarray(Number(first), Number(last) + 1);
  const range = `bytes ${first}-${Number(first) + body.byteLength - 1}/${bytes.byteLength}`;
  response.writeHead(206, { 'Content-Range': range, 'Content-Length': body.byteLength, ETag: etag }).end(body);
  return body.byteLength;
}

const BYTES = Uint8Array.from({ length: 1000 }, (_, i) => i);

describe('ranges over HTTP', () => {
  test('a whole model, of which only what is asked for is sent', async () => {
    const folder = join(TINY, TINY_MODELS[2]);
    const weights = await readFile(join(folder, 'model.safetensors'));
    const config = await readFile(join(folder, 'config.json'));
    let sent = 0;
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      if (request.url === '/m/model.safetensors') sent += sendRange(request, response, weights);
      else if (request.url === '/m/config.json') sent += sendRange(request, response, config);
      else response.writeHead(404).end();
    };
    await withServer(answer, async (base) => {
      const remote = httpFolder(`${base}/m`);
      expect((await readConfig(remote)).hiddenSize).toBe(40);
      await using checkpoint = await openCheckpoint(remote);
      const { word } = bertNames(checkpoint).embeddings;
      const tensor = await checkpoint.need(word, [61, 40]);
      const bytes = await tensor.read(0, tensor.byteLength);
      await using onDisk = await openCheckpoint(folder);
      expect(bytes).toEqual(await (await onDisk.need(word, [61, 40])).read(0, tensor.byteLength));
      expect(sent).toBeGreaterThan(tensor.byteLength);
      expect(sent).toBeLessThan(weights.byteLength / 4);
    });
  });

  test('a file that is not there', () =>
    withServer(
      (_, response) => response.writeHead(404).end(),
      async (base) => {
        expect(await HttpSource.open(`${base}/x`)).toBeUndefined();
        await expectFailure(openCheckpoint(httpFolder(base)), ModelError, /has neither model\.safetensors nor/);
      },
    ));

  test('an empty file', () =>
    withServer(
      (request, response) => sendRange(request, response, new Uint8Array()),
      async (base) => {
        expect(await (await HttpSource.open(base))?.size()).toBe(0);
        await expectFailure(openCheckpoint(httpFolder(base)), ModelError, /is empty/);
      },
    ));

  test('a server that ignores Range, and would send everything', () =>
    withServer(
      (_, response) => response.writeHead(200).end(BYTES),
      (base) => expectFailure(HttpSource.open(base), IoError, /ignores Range.*the whole of http/, /Download the model/),
    ));

  test('a server that refuses', () =>
    withServer(
      (_, response) => response.writeHead(403).end(),
      (base) => expectFailure(HttpSource.open(base), IoError, /cannot read http.*: HTTP 403 Forbidden/),
    ));

  test('a server that sends another range', () =>
    withServer(
      (_, response) => response.writeHead(206, { 'Content-Range': 'bytes 5-5/1000' }).end('x'),
      (base) => expectFailure(HttpSource.open(base), IoError, /for bytes 0-0, got the range "bytes 5-5\/1000"/),
    ));

  test.each<
    [
      string,
      (request: IncomingMessage, response: ServerResponse) => unknown,
      abstract new (...args: never[]) => IoError | ModelError,
      RegExp,
    ]
  >([
    [
      'changes the file',
      (request, response) => sendRange(request, response, BYTES, '"2"'),
      ModelError,
      /changed while it was read/,
    ],
    [
      'changes its size',
      (request, response) => sendRange(request, response, BYTES.subarray(1)),
      ModelError,
      /changed while it was read/,
    ],
    [
      'sends too little',
      (_, response) => response.writeHead(206, { 'Content-Range': 'bytes 0-9/1000', ETag: '"1"' }).end('12345'),
      IoError,
      /sent 5 of the 10 bytes/,
    ],
    [
      'sends too much',
      (_, response) => response.writeHead(206, { 'Content-Range': 'bytes 0-9/1000', ETag: '"1"' }).end(BYTES),
      IoError,
      /sent more than the 10 bytes/,
    ],
    [
      'hangs up',
      (_, response) =>
        response
          .writeHead(206, { 'Content-Range': 'bytes 0-9/1000', ETag: '"1"', 'Content-Length': 10 })
          .write('1', () => response.destroy()),
      IoError,
      /cannot reach http/,
    ],
    ['says nothing', () => {}, IoError, /no answer from http.* in time/],
  ])('a server that %s in between', async (_, answer, kind, message) => {
    let requests = 0;
    await withServer(
      (request, response) => (requests++ === 0 ? sendRange(request, response, BYTES) : answer(request, response)),
      async (base) => {
        const source = await HttpSource.open(base, { timeoutMs: 500 });
        await expectFailure(source?.read(0, 10) ?? Promise.resolve(), kind, message);
      },
    );
  });

  test('no server', async () => {
    let base = '';
    await withServer(
      () => {},
      async (address) => void (base = address),
    );
    await expectFailure(HttpSource.open(base), IoError, /cannot reach http.*ECONNREFUSED/, /network/);
  });
});

describe('any source', () => {
  test('reads exact ranges, into an array that is given', async () => {
    const source = new BlobSource(new Blob([BYTES]), 'blob');
    const into = new Uint8Array(8);
    expect([...(await source.read(10, 3, into))]).toEqual([10, 11, 12]);
    expect([...into]).toEqual([10, 11, 12, 0, 0, 0, 0, 0]);
    expect((await source.read(1000, 0)).byteLength).toBe(0);
  });

  test('refuses a range that is none, before anything is allocated for it', async () => {
    const source = new BlobSource(new Blob([BYTES]), 'blob');
    await expectFailure(
      source.read(0, 2 ** 52),
      ModelError,
      /read past the end of blob: bytes 0 to 4503599627370496 of 1000/,
    );
    await expectFailure(source.read(999, 2), ModelError, /past the end/);
    await expectFailure(source.read(-1, 2), UsageError, /not a range/);
    await expectFailure(source.read(0, 1.5), UsageError, /not a range/);
    await expectFailure(source.read(0, 9, new Uint8Array(8)), UsageError, /into an array of 8/);
  });
});
