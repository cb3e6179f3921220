import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeCertificate } from '../core/testing/certificates.ts';
import {
  failure,
  fakeDns,
  makeClient,
  never,
  openBlob,
  readAll,
  repository,
  someDigest,
} from './testing/test-client.ts';
import { answer, TestServer } from './testing/test-server.ts';

const secret = 'X-Amz-Signature=secret';
const basic = { kind: 'basic', username: 'u', password: 'p' } as const;

function open(client: ReturnType<typeof makeClient>['client'], start = 0) {
  return openBlob(client, someDigest, start, undefined, never);
}

describe('a redirect', () => {
  it('is followed to another origin, with the Range and without Authorization', async () => {
    await using cdn = await TestServer.start((_, response) => {
      answer(response, 206, { 'content-range': 'bytes 2-3/4' }, 'cd');
    });
    await using server = await TestServer.start((request, response) => {
      if (request.headers.authorization === undefined) {
        return answer(response, 401, { 'www-authenticate': 'Basic realm="r"' });
      }
      answer(response, 307, { location: `${cdn.url}/blob?${secret}` }, 'moved');
    });
    const { client, events } = makeClient(server.url, { credentials: basic });
    await using _ = client;
    const body = await open(client, 2);
    assert.equal((await readAll(body.chunks)).toString(), 'cd');
    const [request] = cdn.requests;
    assert.equal(request?.url, `/blob?${secret}`);
    assert.equal(request?.headers.range, 'bytes=2-');
    assert.equal(request?.headers.authorization, undefined);
    assert.deepEqual(
      events.requests.map(({ endpoint, status }) => [endpoint, status]),
      [401, 307, 206].map((status) => [new URL(server.url).host, status]),
    );
    assert.ok(!JSON.stringify(events).includes('secret'));
    assert.deepEqual(events.bytes, [2]);
  });

  it('within the origin keeps Authorization, and loses it for good on the way out', async () => {
    await using server = await TestServer.start((request, response) => {
      if (request.headers.authorization === undefined && request.url.startsWith('/v2')) {
        return answer(response, 401, { 'www-authenticate': 'Basic realm="r"' });
      }
      if (request.url.startsWith('/v2')) return answer(response, 302, { location: '/inside' });
      if (request.url === '/inside') return answer(response, 302, { location: `${cdn.url}/out` });
      answer(response, 200, {}, 'ok');
    });
    await using cdn = await TestServer.start((_, response) =>
      answer(response, 302, { location: `${server.url}/back` }),
    );
    const { client } = makeClient(server.url, { credentials: basic });
    await using _ = client;
    await readAll((await open(client)).chunks);
    const seen = server.requests.map(({ url, headers }) => [url.slice(0, 7), headers.authorization !== undefined]);
    assert.deepEqual(seen.slice(1), [
      ['/v2/lib', true],
      ['/inside', true],
      ['/back', false],
    ]);
    assert.equal(cdn.requests[0]?.headers.authorization, undefined);
  });

  it('is followed five times, not six', async () => {
    for (const [hops, works] of [
      [5, true],
      [6, false],
    ] as const) {
      let hop = 0;
      await using server = await TestServer.start((_, response) => {
        if (hop++ < hops) return answer(response, 302, { location: `/hop-${hop}` });
        answer(response, 200, {}, 'x');
      });
      const { client } = makeClient(server.url);
      await using _ = client;
      if (works) await readAll((await open(client)).chunks);
      else await failure(open(client), 'UPSTREAM_REDIRECT_REFUSED');
    }
  });

  it('from https to http is refused, without a word of its query', async () => {
    const tls = makeCertificate();
    const location = `http://localhost:1/blob?${secret}`;
    await using server = await TestServer.start((_, response) => answer(response, 307, { location }), tls);
    const { client } = makeClient(server.url, { tls: { ca: tls.cert } });
    await using _ = client;
    const error = await failure(open(client), 'UPSTREAM_REDIRECT_REFUSED');
    assert.match(error.message, /plain http/);
    assert.ok(!error.message.includes('secret'));
  });

  it('that fails later says nothing of the signed address', async () => {
    await using cdn = await TestServer.start((request, response) => {
      answer(response, 403, { 'content-type': 'text/plain' }, `no: ${request.url}`);
    });
    await using server = await TestServer.start((_, response) => {
      answer(response, 307, { location: `${cdn.url}/blob?${secret}` });
    });
    const { client } = makeClient(server.url);
    await using _ = client;
    const error = await failure(open(client), 'UPSTREAM_FAILED');
    assert.ok(!`${error.stack}${error.cause}`.includes('secret'));
  });

  for (const status of [400, 401, 403, 404, 410]) {
    it(`that ends in ${status} is no answer of the registry’s: it may be asked again, and signs anew`, async () => {
      let signed = 0;
      await using cdn = await TestServer.start((request, response) => {
        answer(response, request.url === '/blob?2' ? 200 : status, {}, 'ok');
      });
      await using server = await TestServer.start((_, response) => {
        answer(response, 307, { location: `${cdn.url}/blob?${++signed}` });
      });
      const { client } = makeClient(server.url);
      await using _ = client;
      const error = await failure(open(client), 'UPSTREAM_FAILED');
      assert.ok(error.retryable);
      assert.equal((await readAll((await open(client)).chunks)).toString(), 'ok');
    });
  }

  it('of a HEAD that a storage service refuses becomes a GET', async () => {
    await using cdn = await TestServer.start((request, response) => {
      if (request.method === 'HEAD') return answer(response, 403);
      answer(response, 206, { 'content-range': 'bytes 0-0/77' }, 'x');
    });
    await using server = await TestServer.start((_, response) => answer(response, 307, { location: `${cdn.url}/b` }));
    const { client } = makeClient(server.url);
    await using _ = client;
    assert.equal((await client.headBlob(repository, someDigest, never)).sizeBytes, 77);
  });
});

describe('a redirect to a private address', () => {
  /** A public upstream: its name is resolved by the proxy that leads to this server. Everything else goes directly. */
  async function publicUpstream(location: () => string) {
    const server = await TestServer.start((_, response) => answer(response, 307, { location: location() }));
    const env = { http_proxy: server.url, no_proxy: 'inside.test,cdn.test,meta.test,127.0.0.1' };
    return { server, env };
  }

  it('is refused for a public upstream, whether it is an address or a name that leads to one', async () => {
    await using inside = await TestServer.start((_, response) => answer(response, 200, {}, 'inside'));
    const locations = [
      inside.url,
      inside.urlAt('inside.test'),
      inside.urlAt('localhost'),
      'http://10.0.0.1/',
      'http://[::1]/',
    ];
    for (const location of locations) {
      const { server, env } = await publicUpstream(() => location);
      await using _ = server;
      const { client } = makeClient('http://registry.test', { env, lookup: fakeDns({ localhost: '127.0.0.1' }) });
      await using __ = client;
      const error = await failure(open(client), 'UPSTREAM_REDIRECT_REFUSED');
      assert.match(error.message, /redirects\.allow/);
    }
    assert.equal(inside.requests.length, 0);
  });

  it('is followed where redirects.allow names the host', async () => {
    await using inside = await TestServer.start((_, response) => answer(response, 200, {}, 'inside'));
    for (const [location, allow] of [
      [inside.url, '127.0.0.1'],
      [inside.urlAt('inside.test'), 'inside.test'],
    ] as const) {
      const { server, env } = await publicUpstream(() => location);
      await using _ = server;
      const options = { env, lookup: fakeDns(), redirects: { allow: [allow] } };
      const { client } = makeClient('http://registry.test', options);
      await using __ = client;
      assert.equal((await readAll((await open(client)).chunks)).toString(), 'inside');
    }
  });

  it('is followed for an upstream that is itself at one, by address or by name', async () => {
    await using inside = await TestServer.start((_, response) => answer(response, 200, {}, 'inside'));
    await using server = await TestServer.start((_, response) => {
      answer(response, 307, { location: inside.urlAt('cdn.test') });
    });
    for (const endpoint of [server.url, server.urlAt('registry.corp.test')]) {
      const { client } = makeClient(endpoint, { lookup: fakeDns() });
      await using _ = client;
      assert.equal((await readAll((await open(client)).chunks)).toString(), 'inside');
    }
  });

  it('is judged at each connection, so that a name that changes its mind gains nothing', async () => {
    await using inside = await TestServer.start((_, response) => answer(response, 200, {}, 'inside'));
    const { server, env } = await publicUpstream(() => inside.urlAt('cdn.test'));
    await using _ = server;
    const asked: string[] = [];
    const rebinding = fakeDns();
    const { client } = makeClient('http://registry.test', {
      env,
      lookup: (hostname, options, callback) => {
        asked.push(hostname);
        rebinding(hostname, options, callback);
      },
    });
    await using __ = client;
    await failure(open(client), 'UPSTREAM_REDIRECT_REFUSED');
    await failure(open(client), 'UPSTREAM_REDIRECT_REFUSED');
    assert.deepEqual(asked, ['cdn.test', 'cdn.test'], 'resolved once per connection, by the connection itself');
    assert.equal(inside.accepted, 0);
  });

  it('of the link is refused even for an upstream inside', async () => {
    await using server = await TestServer.start((_, response) => {
      answer(response, 307, { location: 'http://meta.test/latest/meta-data' });
    });
    const { client } = makeClient(server.url, { lookup: fakeDns({ 'meta.test': '169.254.169.254' }) });
    await using _ = client;
    await failure(open(client), 'UPSTREAM_REDIRECT_REFUSED');
  });
});
