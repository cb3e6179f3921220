import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { ociManifest } from '../core/media-types.ts';
import { parseRepositoryName, type RepositoryName } from '../core/repository-name.ts';
import { makeCertificate } from '../core/testing/certificates.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { Credentials } from './credentials.ts';
import type { RegistryClient } from './registry-client.ts';
import {
  failure,
  fakeDns,
  makeClient,
  never,
  openBlob,
  published,
  repository,
  someDigest,
} from './testing/test-client.ts';
import { answer, type Handler, type SeenRequest, TestServer } from './testing/test-server.ts';

const basic: Credentials = { kind: 'basic', username: 'user', password: 'pass:word' };
const basicHeader = `Basic ${Buffer.from('user:pass:word').toString('base64')}`;
const identity: Credentials = { kind: 'identity-token', token: 'refresh' };
const other = parseRepositoryName('library/other') as RepositoryName;

function getManifest(client: RegistryClient, name = repository) {
  return client.getManifest(name, 'latest', ociManifest, 1000, never);
}

/** A registry that wants tokens `t1`, `t2`, ... from its token server, and counts what it is asked. */
class TokenRegistry implements AsyncDisposable {
  readonly registry: TestServer;
  readonly tokenServer: TestServer;
  /** The tokens that are good now. */
  readonly good = new Set<string>();
  issued = 0;
  answerToken: (registry: TokenRegistry, request: SeenRequest, response: ServerResponse) => void = (
    self,
    _,
    response,
  ) => answer(response, 200, {}, JSON.stringify({ token: self.issue() }));
  challenge: (request: SeenRequest) => string;

  private constructor(registry: TestServer, tokenServer: TestServer) {
    this.registry = registry;
    this.tokenServer = tokenServer;
    this.challenge = ({ url }) => {
      const name = /^\/v2\/(.*)\/(?:manifests|blobs|tags)\//.exec(url)?.[1];
      return `Bearer realm="${tokenServer.url}/token?x=1",service="reg",scope="repository:${name}:pull"`;
    };
  }

  static async start(): Promise<TokenRegistry> {
    let self: TokenRegistry | undefined;
    const registry = await TestServer.start((request, response) => self?.onRequest(request, response));
    const tokenServer = await TestServer.start((request, response) => self?.answerToken(self, request, response));
    self = new TokenRegistry(registry, tokenServer);
    return self;
  }

  issue(): string {
    const token = `t${++this.issued}`;
    this.good.add(token);
    return token;
  }

  onRequest(request: SeenRequest, response: ServerResponse): void {
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || !this.good.has(token)) {
      return answer(response, 401, { 'www-authenticate': this.challenge(request) }, '{"errors":[]}');
    }
    answer(response, 200, { 'content-type': ociManifest }, '{}');
  }

  get statuses(): number {
    return this.registry.requests.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
    await this.tokenServer[Symbol.asyncDispose]();
  }
}

describe('a bearer challenge', () => {
  it('is answered with a token, which later requests carry at once', async () => {
    await using server = await TokenRegistry.start();
    const { client, events } = makeClient(server.registry.url);
    await using _ = client;
    await getManifest(client);
    await getManifest(client);
    assert.equal(server.tokenServer.requests.length, 1);
    const [request] = server.tokenServer.requests;
    assert.equal(request?.url, '/token?x=1&service=reg&scope=repository%3Alibrary%2Fapp%3Apull');
    assert.equal(request?.headers.authorization, undefined);
    assert.deepEqual(
      server.registry.requests.map(({ headers }) => headers.authorization),
      [undefined, 'Bearer t1', 'Bearer t1'],
    );
    const kinds = events.requests.map(({ kind, status }) => `${kind} ${status}`);
    assert.deepEqual(kinds, ['manifest 401', 'token 200', 'manifest 200', 'manifest 200']);
    assert.deepEqual(events.bytes, [2, 2]);
  });

  it('is answered once for all who need the same token', async () => {
    await using server = await TokenRegistry.start();
    const arrived = Promise.withResolvers<ServerResponse>();
    server.answerToken = (_, __, response) => arrived.resolve(response);
    const { client, events, channels } = makeClient(server.registry.url);
    await using _ = client;
    const joined = published(channels.coalesced, 3);
    const requests = Array.from({ length: 4 }, () => getManifest(client));
    await joined;
    answer(await arrived.promise, 200, {}, JSON.stringify({ access_token: server.issue() }));
    await Promise.all(requests);
    assert.equal(server.tokenServer.requests.length, 1);
    assert.deepEqual(events.coalesced, ['token', 'token', 'token']);
  });

  it('is answered apart for each repository', async () => {
    await using server = await TokenRegistry.start();
    const { client } = makeClient(server.registry.url);
    await using _ = client;
    await getManifest(client);
    await getManifest(client, other);
    assert.equal(server.tokenServer.requests.length, 2);
  });

  it('without a scope asks for pulling this repository', async () => {
    await using server = await TokenRegistry.start();
    server.challenge = () => `Bearer realm="${server.tokenServer.url}/token"`;
    const { client } = makeClient(server.registry.url);
    await using _ = client;
    await getManifest(client);
    assert.equal(server.tokenServer.requests[0]?.url, '/token?scope=repository%3Alibrary%2Fapp%3Apull');
  });

  it('is preferred to a basic one', async () => {
    await using server = await TokenRegistry.start();
    const { challenge } = server;
    server.challenge = (request) => `Basic realm="x", ${challenge(request)}`;
    const { client } = makeClient(server.registry.url, { credentials: basic });
    await using _ = client;
    await getManifest(client);
    assert.equal(server.tokenServer.requests[0]?.headers.authorization, basicHeader);
    assert.equal(server.registry.requests[1]?.headers.authorization, 'Bearer t1');
  });

  it('with an identity token is answered by OAuth2', async () => {
    await using server = await TokenRegistry.start();
    server.answerToken = (self, _, response) =>
      answer(response, 200, {}, JSON.stringify({ access_token: self.issue(), expires_in: 300 }));
    const { client } = makeClient(server.registry.url, { credentials: identity });
    await using _ = client;
    await getManifest(client);
    const [request] = server.tokenServer.requests;
    assert.equal(request?.method, 'POST');
    assert.deepEqual(Object.fromEntries(new URLSearchParams(request?.body)), {
      grant_type: 'refresh_token',
      client_id: 'onepull',
      service: 'reg',
      scope: 'repository:library/app:pull',
      refresh_token: 'refresh',
    });
  });
});

describe('a token', () => {
  const lifetimes: [name: string, answer: Record<string, unknown>, lifetimeMs: number][] = [
    ['that says nothing lives 60 s', {}, 60_000],
    ['lives as long as it says', { expires_in: 300 }, 300_000],
    ['may have been made before', { expires_in: 300, issued_at: '2026-01-01T00:00:00Z' }, 200_000],
    ['is not made old by a clock that differs', { expires_in: 300, issued_at: '2020-01-01T00:00:00Z' }, 300_000],
    ['is not made old by one that is ahead', { expires_in: 300, issued_at: '2030-01-01T00:00:00Z' }, 300_000],
    ['with odd times lives 60 s', { expires_in: 'x', issued_at: 7 }, 60_000],
  ];
  for (const [name, more, lifetimeMs] of lifetimes) {
    it(name, async () => {
      await using server = await TokenRegistry.start();
      server.answerToken = (self, _, response) => {
        const date = { date: 'Thu, 01 Jan 2026 00:01:40 GMT' };
        answer(response, 200, date, JSON.stringify({ token: self.issue(), ...more }));
      };
      const clock = new VirtualClock();
      const { client } = makeClient(server.registry.url, { clock });
      await using _ = client;
      await getManifest(client);
      clock.advance(lifetimeMs - 15_001);
      await getManifest(client);
      assert.equal(server.issued, 1);
      clock.advance(15_000);
      await getManifest(client);
      assert.equal(server.issued, 2);
      assert.equal(server.statuses, 4, 'the challenge is remembered');
      assert.equal(clock.pending, 0);
    });
  }

  it('that was revoked before it was used gives way to another, where the registry says that this is so', async () => {
    await using setup = await TokenRegistry.start();
    const { client } = makeClient(setup.registry.url);
    const challenge = setup.challenge;
    setup.challenge = (request) => `${challenge(request)},error="invalid_token"`;
    setup.answerToken = (self, _, response) => {
      const token = self.issue();
      if (self.issued === 1) self.good.clear();
      answer(response, 200, {}, JSON.stringify({ token }));
    };
    await getManifest(client);
    assert.equal(setup.issued, 2);
    assert.equal(setup.statuses, 3);
    setup.answerToken = (self, _, response) =>
      answer(response, 200, {}, JSON.stringify({ token: `no-${self.issued++}` }));
    setup.good.clear();
    await failure(getManifest(client), 'UPSTREAM_UNAUTHORIZED');
    assert.equal(setup.issued, 5, 'not for ever');
    await client[Symbol.asyncDispose]();
  });

  it('that was refused is dropped, and the request tried once more', async () => {
    await using server = await TokenRegistry.start();
    const { client } = makeClient(server.registry.url);
    await using _ = client;
    await getManifest(client);
    server.good.clear();
    await getManifest(client);
    assert.equal(server.issued, 2);
    assert.equal(server.statuses, 4);
  });

  it('that is refused as soon as it is new ends it, after one more try', async () => {
    await using server = await TokenRegistry.start();
    server.answerToken = (_, __, response) => answer(response, 200, {}, '{"token":"bad"}');
    const { client } = makeClient(server.registry.url);
    await using _ = client;
    await failure(getManifest(client), 'UPSTREAM_UNAUTHORIZED');
    assert.deepEqual([server.statuses, server.tokenServer.requests.length], [2, 1]);
    await failure(getManifest(client), 'UPSTREAM_UNAUTHORIZED');
    assert.equal(server.tokenServer.requests.length, 3, 'a refused token is not used again');
  });

  const refusals: [status: number, body: string, code: Parameters<typeof failure>[1], message: RegExp][] = [
    [401, '{"details":"incorrect username or password"}', 'UPSTREAM_UNAUTHORIZED', /token server.*incorrect username/],
    [403, '', 'UPSTREAM_DENIED', /token server/],
    [404, '', 'UPSTREAM_UNAUTHORIZED', /token server/],
    [500, '', 'UPSTREAM_FAILED', /token server/],
    [200, 'no json, secret', 'UPSTREAM_INVALID', /without a usable token/],
    [200, '{"token":"line\\nbreak"}', 'UPSTREAM_INVALID', /without a usable token/],
    [200, '{}', 'UPSTREAM_INVALID', /without a usable token/],
    [200, 'x'.repeat(300_000), 'UPSTREAM_INVALID', /too much/],
  ];
  for (const [status, body, code, message] of refusals) {
    it(`that is not to be had (${status} ${body.slice(0, 20)}) fails with ${code}`, async () => {
      await using server = await TokenRegistry.start();
      server.answerToken = (_, __, response) => answer(response, status, {}, body);
      const { client } = makeClient(server.registry.url, { credentials: basic });
      await using _ = client;
      const error = await failure(getManifest(client), code);
      assert.match(error.message, message);
      assert.ok(!`${error.message}${error.cause}`.includes('secret'));
      const { issued } = server;
      server.answerToken = (self, _, response) => answer(response, 200, {}, JSON.stringify({ token: self.issue() }));
      await getManifest(client);
      assert.equal(server.issued, issued + 1, 'a failure is not remembered');
    });
  }

  it('that a limit keeps from us is not asked for again before the limit ends, and then it is', async () => {
    await using server = await TokenRegistry.start();
    server.answerToken = (_, __, response) => answer(response, 429, { 'retry-after': '7' }, '');
    const clock = new VirtualClock();
    const { client } = makeClient(server.registry.url, { credentials: basic, clock });
    await using _ = client;
    assert.match((await failure(getManifest(client), 'UPSTREAM_RATE_LIMITED')).message, /token server/);
    assert.equal((await failure(getManifest(client), 'UPSTREAM_RATE_LIMITED')).retryAfterMs, 7000);
    assert.equal(server.tokenServer.requests.length, 1);
    server.answerToken = (self, _, response) => answer(response, 200, {}, JSON.stringify({ token: self.issue() }));
    clock.advance(7000);
    await getManifest(client);
  });

  it('goes on being fetched for the others when one who asked leaves', async () => {
    await using server = await TokenRegistry.start();
    const arrived = Promise.withResolvers<ServerResponse>();
    server.answerToken = (_, __, response) => arrived.resolve(response);
    const { client, channels } = makeClient(server.registry.url);
    await using _ = client;
    const joined = published(channels.coalesced, 1);
    const abort = new AbortController();
    const first = client.getManifest(repository, 'latest', ociManifest, 1000, abort.signal);
    const response = await arrived.promise;
    const second = getManifest(client);
    await joined;
    abort.abort();
    await failure(first, 'CANCELLED');
    answer(response, 200, {}, JSON.stringify({ token: server.issue() }));
    await second;
    assert.equal(server.tokenServer.requests.length, 1);
  });
});

describe('a basic challenge', () => {
  const registry: Handler = (request, response) => {
    if (request.headers.authorization === basicHeader)
      return answer(response, 200, { 'content-type': ociManifest }, '{}');
    answer(response, 401, { 'www-authenticate': 'Basic realm="r"' });
  };

  it('is answered with the credentials, at once the next time', async () => {
    await using server = await TestServer.start(registry);
    const { client } = makeClient(server.url, { credentials: basic });
    await using _ = client;
    await getManifest(client);
    await getManifest(client);
    assert.deepEqual(
      server.requests.map(({ headers }) => headers.authorization),
      [undefined, basicHeader, basicHeader],
    );
  });

  it('cannot be answered without a user name and a password', async () => {
    for (const credentials of [{ kind: 'anonymous' } as const, identity]) {
      await using server = await TestServer.start(registry);
      const { client } = makeClient(server.url, { credentials });
      await using _ = client;
      await failure(getManifest(client), 'UPSTREAM_UNAUTHORIZED');
      assert.equal(server.requests.length, 1);
    }
  });

  it('that refuses the credentials is not asked a third time', async () => {
    await using server = await TestServer.start(registry);
    const { client } = makeClient(server.url, { credentials: { kind: 'basic', username: 'u', password: 'secret' } });
    await using _ = client;
    const error = await failure(getManifest(client), 'UPSTREAM_UNAUTHORIZED');
    assert.equal(server.requests.length, 2);
    assert.ok(!JSON.stringify([error.message, error.details]).includes('secret'));
  });
});

describe('credentials', () => {
  it('do not go to a token server of somebody else, and the error names the setting', async () => {
    for (const credentials of [basic, identity]) {
      await using server = await TokenRegistry.start();
      server.challenge = () => `Bearer realm="${server.tokenServer.urlAt('localhost')}/token",service="reg"`;
      const { client } = makeClient(server.registry.url, { credentials });
      await using _ = client;
      const error = await failure(getManifest(client), 'UPSTREAM_DENIED');
      assert.match(error.message, /localhost.*authRealms/);
      assert.equal(server.tokenServer.requests.length, 0);
    }
  });

  it('go there when it is listed', async () => {
    await using server = await TokenRegistry.start();
    server.challenge = () => `Bearer realm="${server.tokenServer.urlAt('localhost')}/token"`;
    const { client } = makeClient(server.registry.url, { credentials: basic, authRealms: ['localhost'] });
    await using _ = client;
    await getManifest(client);
    assert.equal(server.tokenServer.requests[0]?.headers.authorization, basicHeader);
  });

  it('that there are none of let it be asked', async () => {
    await using server = await TokenRegistry.start();
    server.challenge = () => `Bearer realm="${server.tokenServer.urlAt('localhost')}/token"`;
    const { client } = makeClient(server.registry.url);
    await using _ = client;
    await getManifest(client);
    assert.equal(server.tokenServer.requests[0]?.headers.authorization, undefined);
  });

  it('do not go over plain http when the upstream is https', async () => {
    const tls = makeCertificate();
    await using tokenServer = await TestServer.start((_, response) => answer(response, 200, {}, '{"token":"t"}'));
    const challenge = { 'www-authenticate': `Bearer realm="${tokenServer.url}/token"` };
    await using server = await TestServer.start((_, response) => answer(response, 401, challenge), tls);
    const { client } = makeClient(server.url, { credentials: basic, tls: { ca: tls.cert }, authRealms: ['127.0.0.1'] });
    await using _ = client;
    const error = await failure(getManifest(client), 'UPSTREAM_DENIED');
    assert.match(error.message, /not https/);
    assert.equal(tokenServer.requests.length, 0);
  });

  it('do not answer the challenge of a host that upstream redirected to', async () => {
    await using cdn = await TestServer.start((_, response) => {
      answer(response, 401, { 'www-authenticate': 'Basic realm="give me"' });
    });
    await using server = await TestServer.start((request, response) => {
      if (request.headers.authorization !== basicHeader) {
        return answer(response, 401, { 'www-authenticate': 'Basic realm="r"' });
      }
      answer(response, 307, { location: `${cdn.url}/x` });
    });
    const { client } = makeClient(server.url, { credentials: basic });
    await using _ = client;
    await failure(openBlob(client, someDigest, 0, undefined, never), 'UPSTREAM_FAILED');
    assert.deepEqual(
      cdn.requests.map(({ headers }) => headers.authorization),
      [undefined],
    );
  });

  it('in a POST are not sent on by a redirect', async () => {
    await using server = await TokenRegistry.start();
    server.answerToken = (_, __, response) => answer(response, 307, { location: '/elsewhere' });
    const { client } = makeClient(server.registry.url, { credentials: identity });
    await using _ = client;
    await failure(getManifest(client), 'UPSTREAM_REDIRECT_REFUSED');
    assert.equal(server.tokenServer.requests.length, 1);
  });
});

describe('a token server at a private address', () => {
  it('is not asked for a public upstream, by address or by name, unless it is listed', async () => {
    // The upstream's name is public as far as DNS says; the connection is made through a proxy on loopback.
    await using proxy = await TestServer.start((request, response) => {
      if (request.url.startsWith('http://registry.test/')) {
        return answer(response, 401, { 'www-authenticate': `Bearer realm="${realm}"` });
      }
      answer(response, 200, {}, '{"token":"t"}');
    });
    const env = { http_proxy: proxy.url, no_proxy: 'metadata.test' };
    let realm = 'http://169.254.169.254/token';
    const lookup = fakeDns();
    const byAddress = makeClient('http://registry.test', { env, lookup });
    await using _ = byAddress.client;
    await failure(getManifest(byAddress.client), 'UPSTREAM_REDIRECT_REFUSED');
    realm = 'http://metadata.test/token';
    const byName = makeClient('http://registry.test', { env, lookup });
    await using __ = byName.client;
    await failure(getManifest(byName.client), 'UPSTREAM_REDIRECT_REFUSED');
  });
});
