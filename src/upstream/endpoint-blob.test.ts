import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { SourceBody } from '../flights/source.ts';
import type { BlobSource } from './registry-client.ts';
import { failure, makeClient, never, readAll, repository, someDigest } from './testing/test-client.ts';
import { answer, type Handler, TestServer } from './testing/test-server.ts';

const blob = Buffer.from('0123456789');
const well: Handler = (_, response) => answer(response, 200, {}, blob);
const cut: Handler = (_, response) => {
  response.writeHead(200, { 'content-length': '10' });
  response.write('012', () => response.destroy());
};

function open({ open }: BlobSource, signal = never, hasAlternative = true): Promise<SourceBody> {
  const urgency = () => ({ waiters: 1, missingBytes: undefined });
  const request = { start: 0, end: undefined, optional: false, urgency, waiting: () => {} };
  return open({ ...request, hasAlternative: () => hasAlternative }, signal);
}

async function read(source: BlobSource): Promise<Buffer> {
  return readAll((await open(source)).chunks);
}

/** A blob at two endpoints, of which the first does as it is told. */
async function twoSources(first: Handler, second: Handler = well, more: Parameters<typeof makeClient>[1] = {}) {
  const stack = new AsyncDisposableStack();
  const clock = new VirtualClock();
  const a = stack.use(await TestServer.start(first));
  const b = stack.use(await TestServer.start(second));
  const { client, events } = makeClient([a.url, b.url], { clock, ...more });
  stack.use(client);
  const sources = client.blobSources(repository, someDigest);
  const [sourceA, sourceB] = sources as [BlobSource, BlobSource];
  const states = () =>
    events.breakers.map(({ state, endpoint }) => `${endpoint === sourceA.name ? 'a' : 'b'} ${state}`);
  return { a, b, clock, client, events, sources, sourceA, sourceB, states, stack };
}

describe('a blob at two endpoints', () => {
  it('has a source for each, in the configured order, and both are as good as each other', async () => {
    const { a, b, sources, stack } = await twoSources(well);
    await using _ = stack;
    assert.deepEqual(
      sources.map(({ name }) => name),
      [a, b].map(({ port }) => `127.0.0.1:${port}`),
    );
    const standing = { restMs: 0, restReason: undefined, cost: 0, hasRoom: true, outageMs: 0 };
    for (const source of sources) {
      assert.deepEqual(source.standing(), standing);
      assert.deepEqual(await read(source), blob);
    }
    assert.deepEqual([a.requests.length, b.requests.length], [1, 1], 'each source is of its own endpoint');
  });

  it('is left alone at one that cannot be reached, until a probe has found it back', async () => {
    const { a, clock, sourceA, sourceB, states, stack } = await twoSources((request, response) => {
      if (request.url === '/v2/') answer(response, 200);
      else response.destroy();
    });
    await using _ = stack;
    for (let n = 0; n < 2; n++) await failure(read(sourceA), 'UPSTREAM_UNREACHABLE');
    const { restMs, restReason, cost } = sourceA.standing();
    assert.ok(restMs > 0 && restMs <= 1000, `${restMs}`);
    assert.match(restReason ?? '', /127\.0\.0\.1:\d+ is not asked for now: .*closed/);
    assert.ok(cost > sourceB.standing().cost);
    clock.advance(clock.nextDueInMs ?? 0);
    while (states().at(-1) !== 'a closed') await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([sourceA.standing().restMs, a.requests.at(-1)?.url], [0, '/v2/']);
  });

  it('rests for seconds only at one that is down for long, for who cannot have it anywhere else', async () => {
    const { clock, sourceA, states, stack } = await twoSources((_, response) => response.destroy());
    await using _ = stack;
    for (let n = 0; n < 2; n++) await failure(read(sourceA), 'UPSTREAM_UNREACHABLE');
    for (let probed = 1; probed <= 5; probed++) {
      clock.advance(clock.nextDueInMs ?? 0);
      while (states().filter((state) => state === 'a open').length <= probed) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    assert.ok((clock.nextDueInMs ?? 0) > 20_000);
    assert.equal(sourceA.standing().restMs, 2000);
  });

  it('does not rest anywhere when no endpoint is sound', async () => {
    const dead: Handler = (_, response) => response.destroy();
    const { sourceA, sourceB, stack } = await twoSources(dead, dead);
    await using _ = stack;
    for (const source of [sourceA, sourceA, sourceB, sourceB]) await failure(read(source), 'UPSTREAM_UNREACHABLE');
    assert.deepEqual([sourceA.standing().restMs, sourceB.standing().restMs], [0, 0]);
  });

  it('that is not ours to have takes nothing from the bodies of others', async () => {
    const { client, sourceA, stack } = await twoSources((_, response) => answer(response, 401));
    await using _ = stack;
    const limit = () => client.snapshot().endpoints[0]?.bodies.limit;
    const before = limit();
    for (let n = 0; n < 3; n++) await failure(read(sourceA), 'UPSTREAM_UNAUTHORIZED');
    assert.equal(limit(), before);
  });

  it('is waited for by who cannot have it anywhere else, although others have found its endpoint dead', async () => {
    const waiting: ServerResponse[] = [];
    const { sourceA, clock, events, stack } = await twoSources((_, response) => void waiting.push(response));
    await using _ = stack;
    const lost = [1, 2].map(() => failure(open(sourceA), 'UPSTREAM_UNREACHABLE'));
    const patient = open(sourceA, never, false);
    while (waiting.length < 3) await new Promise((resolve) => setImmediate(resolve));
    for (const response of waiting.slice(0, 2)) response.destroy();
    await Promise.all(lost);
    assert.equal(events.breakers.at(-1)?.state, 'open');
    clock.advance(10_000);
    await new Promise((resolve) => setImmediate(resolve));
    const last = waiting[2];
    if (last !== undefined) answer(last, 200, {}, blob);
    assert.deepEqual(await readAll((await patient).chunks), blob);
  });

  it('is not waited for any more by anybody once two have found its endpoint dead', async () => {
    const waiting: ServerResponse[] = [];
    const { sourceA, clock, events, stack } = await twoSources((_, response) => void waiting.push(response));
    await using _ = stack;
    const opened = Array.from({ length: 5 }, () => failure(open(sourceA), 'UPSTREAM_UNREACHABLE'));
    while (waiting.length < 5) await new Promise((resolve) => setImmediate(resolve));
    waiting[0]?.destroy();
    waiting[1]?.destroy();
    for (const error of await Promise.all(opened)) assert.ok(error.retryable);
    assert.equal(clock.monotonic(), 0);
    assert.equal(events.breakers.length, 1);
    assert.equal(sourceA.standing().hasRoom, true, 'their turns are free again');
  });

  it('goes on where a body flows already when its endpoint is found dead', async () => {
    let held: ServerResponse | undefined;
    const { sourceA, states, stack } = await twoSources((_, response) => {
      if (held !== undefined) return void response.destroy();
      held = response;
      response.writeHead(200, { 'content-length': '10' });
      response.write('01234');
    });
    await using _ = stack;
    const { chunks } = await open(sourceA);
    for (let n = 0; n < 2; n++) await failure(open(sourceA), 'UPSTREAM_UNREACHABLE');
    assert.deepEqual(states(), ['a open']);
    held?.end('56789');
    assert.deepEqual(await readAll(chunks), blob);
  });

  it('waits less for the headers while another endpoint is sound', async () => {
    for (const [second, waitMs] of [
      [well, 8000],
      [(_: unknown, response: ServerResponse) => void response.destroy(), 15_000],
    ] as const) {
      const { a, clock, sourceA, sourceB, stack } = await twoSources(() => {}, second);
      await using _ = stack;
      if (waitMs > 8000) for (let n = 0; n < 2; n++) await failure(read(sourceB), 'UPSTREAM_UNREACHABLE');
      const asked = failure(open(sourceA), 'UPSTREAM_TIMEOUT');
      while (a.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(waitMs);
      assert.match((await asked).message, new RegExp(`${waitMs} ms`));
    }
  });
});

describe('what becomes of bodies tells of their endpoint', () => {
  it('four that are cut in a row close it; one that comes whole stands for it', async () => {
    const handlers = [cut, cut, cut, well, cut, cut, cut, cut];
    const { sourceA, states, stack } = await twoSources((request, response) => handlers.shift()?.(request, response));
    await using _ = stack;
    for (let left = handlers.length; left > 0; left--) {
      assert.deepEqual(states(), []);
      await read(sourceA).catch((error: AppError) => assert.equal(error.code, 'UPSTREAM_INTERRUPTED'));
    }
    assert.deepEqual(states(), ['a open']);
  });

  it('one that stands still is its fault, whoever gives up first; one that is not wanted is not', async () => {
    const { sourceA, client, clock, stack } = await twoSources(
      (_, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('012');
      },
      well,
      { stallTimeoutMs: 1000 },
    );
    await using _ = stack;
    const lastError = () => client.snapshot().endpoints[0]?.health.lastError?.code;
    for (const [waitMs, expected] of [
      [400, undefined],
      [600, 'UPSTREAM_STALLED'],
    ] as const) {
      const abort = new AbortController();
      const { chunks } = await open(sourceA, abort.signal);
      const iterator = chunks[Symbol.asyncIterator]();
      await iterator.next();
      const next = failure(iterator.next().then(), 'CANCELLED');
      clock.advance(waitMs);
      abort.abort();
      await next;
      assert.equal(lastError(), expected);
    }
  });

  it('wrong bytes weigh more than all else', async () => {
    const { sourceA, states, stack } = await twoSources(well);
    await using _ = stack;
    const wrong = new AppError('CONTENT_MISMATCH', 'not what was asked for');
    sourceA.discredit(wrong);
    assert.deepEqual(states(), []);
    sourceA.discredit(wrong);
    assert.deepEqual(states(), ['a open']);
  });

  it('one that answers 429 has its rest, as an only endpoint too', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 429, { 'retry-after': '30' }));
    const { client } = makeClient(server.url);
    await using _ = client;
    const [source] = client.blobSources(repository, someDigest) as [BlobSource];
    await failure(read(source), 'UPSTREAM_RATE_LIMITED');
    const { restMs, restReason, hasRoom } = source.standing();
    assert.ok(restMs > 29_000 && restMs <= 30_000, `${restMs}`);
    assert.match(restReason ?? '', /limits us/);
    assert.equal(hasRoom, false);
    await failure(read(source), 'UPSTREAM_RATE_LIMITED');
    assert.equal(server.requests.length, 1);
  });

  it('a turn is held as long as the body is open', async () => {
    await using server = await TestServer.start(cut);
    const { client } = makeClient(server.url, { connections: 1 });
    await using _ = client;
    const [source] = client.blobSources(repository, someDigest) as [BlobSource];
    const { chunks } = await open(source);
    assert.equal(source.standing().hasRoom, false);
    await failure(readAll(chunks), 'UPSTREAM_INTERRUPTED');
    assert.equal(source.standing().hasRoom, true);
  });

  it('their rate is known while they come', async () => {
    const { sourceA, client, clock, stack } = await twoSources((_, response) => {
      response.writeHead(200, { 'content-length': String(8 * 1024 * 1024) });
      response.end(Buffer.alloc(8 * 1024 * 1024));
    });
    await using _ = stack;
    const { chunks } = await open(sourceA);
    for await (const _chunk of chunks) clock.advance(1);
    const { bytesPerSecond = 0 } = client.snapshot().endpoints[0]?.health ?? {};
    assert.ok(bytesPerSecond > 1_000_000, `${bytesPerSecond}`);
  });
});
