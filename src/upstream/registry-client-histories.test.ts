import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import type { ServerResponse } from 'node:http';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { ociIndex, ociManifest } from '../core/media-types.ts';
import { Random } from '../flights/testing/random.ts';
import { EndpointGate } from './endpoint-gate.ts';
import type { RegistryClient } from './registry-client.ts';
import { makeClient, never, repository, someDigest } from './testing/test-client.ts';
import { answer, type SeenRequest, TestServer } from './testing/test-server.ts';

/**
 * A client of three endpoints that misbehave in every way we know, on real sockets, with requests that are aborted whenever it
 * hurts. Afterwards nothing may be left: each pass was ended exactly once, no timer, listener, turn or socket is held.
 *
 *   REQUESTS=20000 SEED=1 node --test src/upstream/registry-client-histories.test.ts
 */
const requests = Number(process.env.REQUESTS ?? 1500);
const firstSeed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const atOnce = 40;
const blob = Buffer.alloc(300_000, 'b');

/** Real time, so many times as fast: bounds of seconds end within the test. Counts what it still holds. */
class FastClock implements Clock {
  readonly #factor = 60;
  pending = 0;

  now(): number {
    return Date.now();
  }

  monotonic(): number {
    return performance.now() * this.#factor;
  }

  after(delayMs: number, callback: () => void) {
    let isPending = true;
    this.pending++;
    const end = () => {
      if (isPending) this.pending--;
      isPending = false;
    };
    const timer = setTimeout(() => {
      end();
      callback();
    }, delayMs / this.#factor);
    return {
      clear: () => {
        end();
        clearTimeout(timer);
      },
    };
  }
}

/** How often passes were given, and what became of each. */
function watchPasses(context: TestContext) {
  const ends: number[] = [];
  const enter = EndpointGate.prototype.enter;
  context.mock.method(
    EndpointGate.prototype,
    'enter',
    async function (this: EndpointGate, ...args: Parameters<typeof enter>) {
      const pass = await enter.apply(this, args);
      const place = ends.push(0) - 1;
      return {
        answered: pass.answered,
        ended: (outcome: Parameters<typeof pass.ended>[0]) => {
          ends[place] = (ends[place] ?? 0) + 1;
          pass.ended(outcome);
        },
      };
    },
  );
  return ends;
}

type Act = (request: SeenRequest, response: ServerResponse) => void;

/** What an endpoint, the storage that it leads to, or a token server does with a request. */
class Mischief {
  readonly random: Random;
  storageUrl = '';
  isWell = false;

  constructor(random: Random) {
    this.random = random;
  }

  serve(request: SeenRequest, response: ServerResponse): void {
    const host = request.headers.host ?? '';
    if (request.url.startsWith('/token')) return this.#token(response);
    if (this.isWell) return this.#give(request, response);
    const acts: readonly Act[] = [
      ...Array.from({ length: 10 }, () => this.#give.bind(this)),
      ...this.#refusals(host),
      () => {},
      (_, { socket }) => socket?.destroy(),
      (_, one) =>
        one
          .writeHead(200, { 'content-length': '1000000' })
          .write('b'.repeat(this.random.below(200_000)), () => one.destroy()),
      (_, one) => one.writeHead(200, { 'content-length': '1000000' }).write('stalls'),
      (_, one) => answer(one, 307, { location: `${this.storageUrl}${request.url}?sig=secret` }),
      (_, one) => answer(one, 307, { location: request.url }),
      (_, one) => answer(one, 307, { location: 'ftp://nowhere.example/' }),
      (_, one) => answer(one, 200, { 'content-encoding': 'gzip' }, blob),
      (_, one) => answer(one, 206, { 'content-range': 'bytes 7-9/10' }, 'abc'),
      (_, one) => answer(one, 200, { 'content-type': 'text/html' }, '<p>'),
    ];
    this.random.pick(acts)?.(request, response);
  }

  #refusals(host: string): readonly Act[] {
    const challenge = { 'www-authenticate': `Bearer realm="http://${host}/token",service="s"` };
    return [
      (request, one) =>
        request.headers.authorization === undefined ? answer(one, 401, challenge) : this.#give(request, one),
      (_, one) => answer(one, 401, challenge),
      (_, one) => answer(one, 401),
      ...[403, 404, 405, 408, 500].map(
        (status): Act =>
          (_, one) =>
            answer(one, status, {}, 'x'.repeat(this.random.below(100_000))),
      ),
      (_, one) => answer(one, 429, { 'retry-after': String(this.random.below(5)) }),
      (_, one) => answer(one, 503, this.random.chance(0.5) ? { 'retry-after': '2' } : {}),
    ];
  }

  #token(response: ServerResponse): void {
    if (this.isWell || this.random.chance(0.6))
      return answer(response, 200, {}, JSON.stringify({ token: 'token', expires_in: 30 }));
    const acts: (() => void)[] = [
      () => {},
      () => response.destroy(),
      () => answer(response, 401),
      () => answer(response, 429, { 'retry-after': '3' }),
      () => answer(response, 200, {}, '{}'),
    ];
    this.random.pick(acts)?.();
  }

  #give({ url, method, headers }: SeenRequest, response: ServerResponse): void {
    if (!url.includes('/blobs/')) {
      const type = url.includes('/manifests/')
        ? ociManifest
        : url.includes('/referrers/')
          ? ociIndex
          : 'application/json';
      return answer(response, 200, { 'content-type': type }, method === 'HEAD' ? '' : '{}');
    }
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '');
    if (range === null) return answer(response, 200, {}, method === 'HEAD' ? '' : blob);
    const start = Number(range[1]);
    const end = range[2] === '' ? blob.length : Math.min(blob.length, Number(range[2]) + 1);
    answer(response, 206, { 'content-range': `bytes ${start}-${end - 1}/${blob.length}` }, blob.subarray(start, end));
  }
}

/** One request of a kind that chance picks; a blob is read to its end, left in its middle, or held. */
async function ask(client: RegistryClient, random: Random, abort: AbortController): Promise<void> {
  const { signal } = abort;
  switch (random.below(12)) {
    case 0:
      return void (await client.headManifest(repository, 'latest', ociManifest, signal));
    case 1:
      return void (await client.headBlob(repository, someDigest, signal));
    case 2:
      return void (await client.listTags(repository, '', signal));
    case 3:
      return void (await client.referrers(repository, someDigest, '', signal));
    case 4:
    case 5:
      return void (await client.getManifest(repository, 'latest', ociManifest, 1000, signal));
    default:
      return readBlob(client, random, abort);
  }
}

async function readBlob(client: RegistryClient, random: Random, abort: AbortController): Promise<void> {
  const source = random.pick(client.blobSources(repository, someDigest));
  const start = random.chance(0.5) ? 0 : random.below(blob.length);
  const end = random.chance(0.5) ? undefined : Math.min(blob.length, start + 1 + random.below(100_000));
  const urgency = () => ({ waiters: 1, missingBytes: undefined });
  const body = await source?.open(
    { start, end, optional: random.chance(0.2), urgency, hasAlternative: () => random.chance(0.5), waiting: () => {} },
    abort.signal,
  );
  const isLeft = random.chance(0.2);
  for await (const _ of body?.chunks ?? []) {
    if (isLeft) return;
    if (random.chance(0.1)) abort.abort();
    if (random.chance(0.1)) await pause(random.below(20));
  }
}

/** Many requests at a time, each maybe aborted: before it begins, at once, or at some time. */
async function storm(client: RegistryClient, random: Random): Promise<void> {
  let left = requests;
  const one = async () => {
    while (left-- > 0) {
      const abort = new AbortController();
      if (random.chance(0.02)) abort.abort();
      const timer = random.chance(0.3) ? setTimeout(() => abort.abort(), random.below(60)) : undefined;
      await ask(client, random, abort).catch((error: unknown) => {
        assert.ok(error instanceof AppError && error.code !== 'INTERNAL', String(error));
        assert.doesNotMatch(error.message, /secret|token-|sig=/);
      });
      clearTimeout(timer);
      assert.equal(getEventListeners(abort.signal, 'abort').length, 0, 'no listener stays');
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const endMs = performance.now() + 20_000;
  while (!condition()) {
    if (performance.now() > endMs) assert.fail(what());
    await pause(5);
  }
}

describe('an upstream whose endpoints do all that is wrong', () => {
  it(`leaves nothing behind (SEED=${firstSeed}, ${requests} requests)`, async (context) => {
    const random = new Random(firstSeed);
    const clock = new FastClock();
    const ends = watchPasses(context);
    const mischief = new Mischief(random);
    await using storage = await TestServer.start((request, response) => mischief.serve(request, response));
    mischief.storageUrl = storage.url;
    const servers: TestServer[] = [];
    await using stack = new AsyncDisposableStack();
    for (let n = 0; n < 3; n++) {
      servers.push(stack.use(await TestServer.start((request, response) => mischief.serve(request, response))));
    }
    const urls = servers.map(({ url }) => url);
    const { client } = makeClient(urls, { clock, connections: 12, stallTimeoutMs: 5000 });

    await storm(client, random);
    const flows = () => client.snapshot().endpoints.map(({ bodies }) => bodies.inFlight + bodies.queued);
    await until(
      () => flows().every((flow) => flow === 0),
      () => `turns that nobody has: ${flows()}`,
    );
    await until(
      () => ends.every((count) => count > 0),
      () => `passes never ended: ${ends.filter((count) => count === 0).length}`,
    );
    assert.ok(ends.length > requests / 2, `${ends.length} passes are too few to prove anything`);
    assert.deepEqual(ends.filter((count) => count > 1).length, 0, 'each is ended once');
    // Twelve to each of three endpoints and, in both lanes, to the storage.
    assert.ok(
      [storage, ...servers].every(({ sockets }) => sockets.size <= 12),
      'no more sockets than allowed',
    );

    // All is well again, and soon so is every pull.
    mischief.isWell = true;
    const isWhole = async () => {
      const { mediaType } = await client.getManifest(repository, 'latest', ociManifest, 1000, never);
      return mediaType === ociManifest;
    };
    const endMs = clock.monotonic() + 120_000;
    while (!(await isWhole().catch(() => false))) {
      assert.ok(clock.monotonic() < endMs, 'nothing works any more');
      await pause(5);
    }
    await until(
      () => client.snapshot().endpoints.every(({ breaker }) => breaker.state === 'closed'),
      () => 'a breaker stays open',
    );

    // An end in the middle of it all.
    mischief.isWell = false;
    const storming = storm(client, random);
    await pause(50);
    await client[Symbol.asyncDispose]();
    await storming;
    await until(
      () => ends.every((count) => count === 1),
      () => 'a pass is left after the end',
    );
    assert.equal(clock.pending, 0, 'no timer is left');
    for (const { sockets } of [storage, ...servers])
      await until(
        () => sockets.size === 0,
        () => 'a socket is left',
      );
  });
});
