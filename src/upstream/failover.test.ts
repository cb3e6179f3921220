import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { ociIndex, ociManifest } from '../core/media-types.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { RegistryClient } from './registry-client.ts';
import { failure, fakeDns, makeClient, never, repository, someDigest } from './testing/test-client.ts';
import { answer, type Handler, TestServer } from './testing/test-server.ts';

const well: Handler = (_, response) => answer(response, 200, { 'content-type': ociManifest }, '{}');
const silent: Handler = () => {};
const says =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    answer(response, status, headers);

function get(client: RegistryClient, signal = never) {
  return client.getManifest(repository, 'latest', ociManifest, 1000, signal);
}

function manifestRequests(server: TestServer): number {
  return server.requests.filter(({ url }) => url.includes('/manifests/')).length;
}

/** A port where nobody listens. */
async function refused(): Promise<string> {
  const server = await TestServer.start(well);
  const { url } = server;
  await server[Symbol.asyncDispose]();
  return url;
}

/** Two endpoints and a client of both. */
async function pair(first: Handler, second: Handler, more: Parameters<typeof makeClient>[1] = {}) {
  const stack = new AsyncDisposableStack();
  const a = stack.use(await TestServer.start(first));
  const b = stack.use(await TestServer.start(second));
  const { client, events, channels } = makeClient([a.url, b.url], { hedge: false, ...more });
  stack.use(client);
  return { a, b, client, events, channels, stack };
}

describe('a request to an upstream with two endpoints', () => {
  it('goes to the first alone while that is well', async () => {
    const { a, b, client, events, stack } = await pair(well, well);
    await using _ = stack;
    for (let n = 0; n < 5; n++) await get(client);
    assert.deepEqual([a.requests.length, b.requests.length, events.retries], [5, 0, []]);
  });

  const faults: [name: string, handler: Handler, cause: string][] = [
    ['says 503', says(503), 'UPSTREAM_FAILED'],
    ['limits us', says(429, { 'retry-after': '60' }), 'UPSTREAM_RATE_LIMITED'],
    ['lags behind', says(404), 'MANIFEST_UNKNOWN'],
    ['wants us to sign in', says(401), 'UPSTREAM_UNAUTHORIZED'],
    ['says that it is not ours', says(403), 'UPSTREAM_DENIED'],
    [
      'shows a web page',
      (_, response) => answer(response, 200, { 'content-type': 'text/html' }, '<p>'),
      'UPSTREAM_INVALID',
    ],
    ['hangs up', (_, response) => response.destroy(), 'UPSTREAM_UNREACHABLE'],
    [
      'breaks off in its answer',
      (_, response) => {
        response.writeHead(200, { 'content-type': ociManifest, 'content-length': '9' });
        response.write('{', () => response.destroy());
      },
      'UPSTREAM_INTERRUPTED',
    ],
  ];
  for (const [name, handler, cause] of faults) {
    it(`is answered by the second where the first ${name}`, async () => {
      const { client, events, stack } = await pair(handler, well);
      await using _ = stack;
      assert.equal((await get(client)).mediaType, ociManifest);
      assert.deepEqual(events.retries, [{ upstream: 'test', kind: 'manifest', cause, failover: true }]);
    });
  }

  it('is answered by the second where nobody listens at the first, which is found out once', async () => {
    await using server = await TestServer.start(well);
    const { client, events } = makeClient([await refused(), server.url], { hedge: false });
    await using _ = client;
    for (let n = 0; n < 10; n++) await get(client);
    assert.equal(manifestRequests(server), 10);
    assert.equal(events.retries.length, 2, 'two requests met the dead one');
    assert.deepEqual(
      events.breakers.map(({ state }) => state),
      ['open'],
    );
  });

  it('is answered by the second where the first accepts and is silent, and the others do not wait', async () => {
    const clock = new VirtualClock();
    const { a, b, client, events, stack } = await pair(silent, well, { clock });
    await using _ = stack;
    for (let n = 1; n <= 2; n++) {
      const asked = get(client);
      while (manifestRequests(a) < n) await new Promise((resolve) => setImmediate(resolve));
      clock.advance(8000);
      await asked;
      await a.idle();
    }
    assert.deepEqual(
      events.breakers.map(({ state }) => state),
      ['open'],
    );
    for (let n = 0; n < 5; n++) await get(client);
    assert.equal(manifestRequests(a), 2);
    assert.equal(manifestRequests(b), 7);
  });

  it('is answered by the second where the token server of the first is silent, and the others do not wait', async () => {
    const clock = new VirtualClock();
    const challenging: Handler = (request, response) => {
      if (request.url.startsWith('/token')) return;
      answer(response, 401, { 'www-authenticate': `Bearer realm="http://${request.headers.host}/token",service="s"` });
    };
    const { a, client, events, stack } = await pair(challenging, well, { clock });
    await using _ = stack;
    for (let n = 1; n <= 2; n++) {
      const asked = get(client);
      const challenged = () => events.requests.filter(({ status }) => status === 401).length;
      while (challenged() < n) await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(8000);
      await asked;
    }
    for (let n = 0; n < 5; n++) await get(client);
    assert.equal(events.breakers[0]?.state, 'open');
    assert.equal(manifestRequests(a), 2);
  });

  it('moves on when the endpoint that it waits for is found to be down by others', async () => {
    const clock = new VirtualClock();
    const waiting: ServerResponse[] = [];
    const { b, client, events, stack } = await pair((_, response) => void waiting.push(response), well, { clock });
    await using _ = stack;
    const requests = Array.from({ length: 6 }, () => get(client));
    while (waiting.length < 4) await new Promise((resolve) => setImmediate(resolve));
    // Some are cut off; that tells the others enough.
    waiting[0]?.destroy();
    waiting[1]?.destroy();
    await Promise.all(requests);
    assert.equal(b.requests.length, 6);
    assert.equal(clock.monotonic(), 0, 'nobody had to wait for anything');
    assert.equal(events.breakers[0]?.state, 'open');
  });

  it('of lists and blobs goes on to the second, too', async () => {
    const { client, events, stack } = await pair(says(404), (request, response) => {
      const type = request.url.includes('/referrers/') ? ociIndex : 'application/json';
      answer(response, 200, { 'content-type': type }, '{}');
    });
    await using _ = stack;
    assert.equal((await client.listTags(repository, '', never)).body.length, 2);
    assert.equal((await client.referrers(repository, someDigest, '', never))?.body.length, 2);
    assert.equal((await client.headBlob(repository, someDigest, never)).sizeBytes, 2);
    assert.deepEqual(
      events.retries.map(({ kind, cause }) => [kind, cause]),
      [
        ['list', 'NAME_UNKNOWN'],
        ['list', 'PATH_UNKNOWN'],
        ['blob', 'BLOB_UNKNOWN'],
      ],
    );
  });
});

describe('what no endpoint gives', () => {
  it('is 404 where all of them say so, and referrers are no API then', async () => {
    const { client, stack } = await pair(says(404), says(404));
    await using _ = stack;
    await failure(get(client), 'MANIFEST_UNKNOWN');
    assert.equal(await client.referrers(repository, someDigest, '', never), undefined);
  });

  it('is no 404 while one of them could not be asked, however long that is known', async () => {
    await using lagging = await TestServer.start(says(404));
    const { client, events } = makeClient([await refused(), lagging.url], { hedge: false });
    await using _ = client;
    for (let n = 0; n < 6; n++) await failure(get(client), 'UPSTREAM_UNREACHABLE');
    assert.equal(events.breakers[0]?.state, 'open');
    assert.equal(lagging.requests.length, 6);
    await failure(client.referrers(repository, someDigest, '', never), 'UPSTREAM_UNREACHABLE');
  });

  it('is tried again as soon as one of them may be asked, where others asked for a longer rest', async () => {
    const rest = (seconds: string) => says(503, { 'retry-after': seconds });
    for (const [first, second, leastMs, mostMs] of [
      [rest('60'), rest('20'), 15_000, 20_000],
      [rest('60'), says(500), 0, 1000],
      [rest('60'), (_, response) => response.destroy(), 0, 1000],
    ] as [Handler, Handler, number, number][]) {
      const { client, stack } = await pair(first, second);
      await using _ = stack;
      for (let n = 0; n < 2; n++) {
        const { retryAfterMs = 0 } = await failure(get(client), 'UPSTREAM_FAILED');
        assert.ok(retryAfterMs >= leastMs && retryAfterMs <= mostMs, `${retryAfterMs}`);
      }
    }
  });

  it('is told without the words that one of them had for another request', async () => {
    const words = JSON.stringify({ errors: [{ code: 'UNKNOWN', message: 'no disk for corp/secret-project' }] });
    const { client, events, stack } = await pair(
      (_, response) => answer(response, 500, { 'content-type': 'application/json' }, words),
      says(404),
    );
    await using _ = stack;
    for (let n = 0; n < 4; n++) await failure(get(client), 'UPSTREAM_FAILED');
    assert.match(events.breakers[0]?.reason ?? '', /corp\/secret-project/, 'operators read it');
    const { message } = await failure(get(client), 'UPSTREAM_UNREACHABLE');
    assert.match(message, /is not asked for now/);
    assert.doesNotMatch(message, /secret/);
  });

  it('is a limit where one of them limits us, with the time that is left', async () => {
    const { a, b, client, stack } = await pair(says(429, { 'retry-after': '60' }), says(429, { 'retry-after': '20' }));
    await using _ = stack;
    for (let n = 0; n < 3; n++) {
      const { retryAfterMs = 0 } = await failure(get(client), 'UPSTREAM_RATE_LIMITED');
      assert.ok(retryAfterMs > 15_000 && retryAfterMs <= 20_000, `${retryAfterMs}`);
    }
    assert.deepEqual([a.requests.length, b.requests.length], [1, 1], 'who asked for a rest has it');
  });
});

describe('an endpoint that was down', () => {
  it('is found to be back by a probe, not by a client', async () => {
    let isDown = true;
    const clock = new VirtualClock();
    const handler: Handler = (request, response) => {
      if (request.url === '/v2/') return answer(response, isDown ? 503 : 401);
      answer(response, isDown ? 503 : 200, { 'content-type': ociManifest }, isDown ? '' : '{}');
    };
    const { a, client, events, channels, stack } = await pair(handler, well, { clock });
    await using _ = stack;
    for (let n = 0; n < 4; n++) await get(client);
    assert.equal(events.breakers.at(-1)?.state, 'open');
    for (const expected of ['open', 'closed']) {
      const moved = Promise.withResolvers<void>();
      channels.breaker.subscribe(({ state }) => state !== 'half-open' && moved.resolve());
      clock.advance(clock.nextDueInMs ?? 0);
      await moved.promise;
      assert.equal(events.breakers.at(-1)?.state, expected);
      isDown = false;
    }
    assert.equal(manifestRequests(a), 4);
    assert.equal(a.requests.length, 6, 'one probe each time');
    await get(client);
    assert.equal(manifestRequests(a), 5);
    assert.deepEqual(
      events.requests.filter(({ kind }) => kind === 'ping').map(({ status }) => status),
      [503, 401],
    );
  });

  it('for long is given about a second after it is back to whoever finds it nowhere else', async () => {
    let isDown = true;
    const clock = new VirtualClock();
    const { client, events, channels, stack } = await pair(
      says(404),
      (_, response) => {
        if (isDown) return void response.destroy();
        answer(response, 200, { 'content-type': ociManifest }, '{}');
      },
      { clock },
    );
    await using _ = stack;
    for (let n = 0; n < 2; n++) await failure(get(client), 'UPSTREAM_UNREACHABLE');
    const moves = (state: string) => events.breakers.filter((event) => event.state === state).length;
    const probed = async () => {
      const moved = Promise.withResolvers<void>();
      channels.breaker.subscribe(({ state }) => state !== 'half-open' && moved.resolve());
      clock.advance(clock.nextDueInMs ?? 0);
      await moved.promise;
    };
    while (moves('half-open') < 6) await probed();
    isDown = false;
    assert.ok((clock.nextDueInMs ?? 0) > 20_000, 'it is hardly looked after any more');
    await failure(get(client), 'UPSTREAM_UNREACHABLE');
    assert.ok((clock.nextDueInMs ?? 0) <= 1000);
    await probed();
    await get(client);
  });

  it('with all others is asked on, so that the first request after its return succeeds', async () => {
    const status = { a: 503, b: 503 };
    const clock = new VirtualClock();
    const { client, events, stack } = await pair(
      (_, response) => answer(response, status.a),
      (_, response) => answer(response, status.b, { 'content-type': ociManifest }, status.b === 200 ? '{}' : ''),
      { clock },
    );
    await using _ = stack;
    for (let n = 0; n < 6; n++) await failure(get(client), 'UPSTREAM_FAILED');
    assert.deepEqual(
      events.breakers.map(({ state }) => state),
      ['open', 'open'],
    );
    status.b = 200;
    clock.advance(1);
    await get(client);
    assert.deepEqual([events.breakers.length, events.breakers[2]?.state], [3, 'closed']);
  });
});

describe('an only endpoint', () => {
  async function only(first: Handler) {
    const clock = new VirtualClock();
    let handler = first;
    const stack = new AsyncDisposableStack();
    const server = stack.use(await TestServer.start((request, response) => handler(request, response)));
    const { client, events } = makeClient(server.url, { clock, headersTimeoutMs: 15_000 });
    stack.use(client);
    const asked = () => server.requests.filter(({ url }) => url !== '/v2/').length;
    const becomes = (next: Handler) => {
      handler = next;
    };
    const endpoint = () => client.snapshot().endpoints[0];
    return { clock, client, events, asked, becomes, endpoint, stack };
  }

  it('that fails is said to, and is asked each time all the same, waited for as configured', async () => {
    const { clock, client, events, asked, becomes, endpoint, stack } = await only(says(503));
    await using _ = stack;
    assert.equal(endpoint()?.standing, 'sound');
    for (let n = 0; n < 12; n++) await failure(get(client), 'UPSTREAM_FAILED');
    assert.deepEqual([asked(), events.retries], [12, []]);
    assert.deepEqual(
      events.breakers.map(({ state }) => state),
      ['open'],
    );
    assert.deepEqual([endpoint()?.standing, endpoint()?.breaker.state], ['failing', 'open']);
    clock.advance(500);
    assert.equal(client.outageMs(), 500);
    becomes(silent);
    const silence = get(client);
    while (asked() < 13) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(14_999);
    clock.advance(1);
    await failure(silence, 'UPSTREAM_TIMEOUT');
  });

  it('is back with the first request that it answers, without waiting for a probe', async () => {
    const { clock, client, events, becomes, endpoint, stack } = await only(says(503));
    await using _ = stack;
    for (let n = 0; n < 4; n++) await failure(get(client), 'UPSTREAM_FAILED');
    becomes(well);
    clock.advance(1);
    await get(client);
    assert.deepEqual(
      events.breakers.map(({ state }) => state),
      ['open', 'closed'],
    );
    assert.deepEqual([endpoint()?.standing, client.outageMs()], ['sound', 0]);
  });

  it('of whose requests many fail between others that do not is not said to be sound', async () => {
    const { client, becomes, endpoint, stack } = await only(well);
    await using _ = stack;
    for (let n = 0; n < 6; n++) {
      becomes(well);
      await get(client);
      becomes(says(500));
      await failure(get(client), 'UPSTREAM_FAILED');
    }
    assert.deepEqual([endpoint()?.standing, endpoint()?.breaker.state, client.outageMs()], ['degraded', 'closed', 0]);
  });
});

describe('credentials', () => {
  it('of an upstream with two endpoints go to each one’s own realm only', async () => {
    const basic = { kind: 'basic', username: 'u', password: 'p' } as const;
    const sentTo: string[] = [];
    await using tokensA = await TestServer.start((request, response) => {
      sentTo.push(`a ${request.headers.authorization ?? 'nothing'}`);
      answer(response, 200, {}, JSON.stringify({ token: 'token-a' }));
    });
    await using tokensB = await TestServer.start((request, response) => {
      sentTo.push(`b ${request.headers.authorization ?? 'nothing'}`);
      answer(response, 200, {}, JSON.stringify({ token: 'token-b' }));
    });
    const challenging =
      (realm: string, token: string, status: number): Handler =>
      ({ headers }, response) => {
        if (headers.authorization === `Bearer ${token}`) {
          return answer(response, status, { 'content-type': ociManifest }, '{}');
        }
        answer(response, 401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` });
      };
    // The first names the second's token server: a host that is not its own.
    const realms = { a: tokensB.urlAt('tokens.b.test'), b: tokensB.urlAt('tokens.b.test') };
    await using a = await TestServer.start((request, response) =>
      challenging(realms.a, 'token-a', 503)(request, response),
    );
    await using b = await TestServer.start((request, response) =>
      challenging(realms.b, 'token-b', 200)(request, response),
    );
    const endpoints = [a.urlAt('registry.a.test'), b.urlAt('registry.b.test')];
    const { client } = makeClient(endpoints, { hedge: false, credentials: basic, lookup: fakeDns() });
    await using _ = client;
    await get(client);
    const own = `Basic ${Buffer.from('u:p').toString('base64')}`;
    assert.deepEqual(sentTo, [`b ${own}`], 'only on behalf of the endpoint whose realm it is');
    realms.a = tokensA.urlAt('tokens.a.test');
    await get(client);
    assert.deepEqual(sentTo, [`b ${own}`, `a ${own}`]);
    const toA = a.requests.map(({ headers }) => headers.authorization);
    const toB = b.requests.map(({ headers }) => headers.authorization);
    assert.deepEqual(new Set(toA), new Set([undefined, 'Bearer token-a']));
    assert.deepEqual(new Set(toB), new Set([undefined, 'Bearer token-b']));
  });
});
