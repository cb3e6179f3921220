import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { type TestContext, test } from 'node:test';
import { AppError } from '../core/errors.ts';
import { Channels, type NoticeEvent } from '../telemetry/channels.ts';
import { AdminServer } from './admin-server.ts';
import { type HealthDeps, healthRoutes } from './health-routes.ts';
import { type StateDeps, stateRoutes } from './state-routes.ts';

const quiet: HealthDeps & StateDeps = {
  readiness: () => [],
  warnings: () => [],
  flights: () => [],
  pulls: () => [],
  upstreams: () => [],
  metrics: { contentType: 'text/plain', text: async () => 'onepull_flights 0\n' },
};

function routes(deps: Partial<HealthDeps & StateDeps> = {}) {
  return [...healthRoutes({ ...quiet, ...deps }), ...stateRoutes({ ...quiet, ...deps }, '1.2.3')];
}

async function start(
  context: TestContext,
  { channels = new Channels(), ...deps }: Partial<HealthDeps & StateDeps & { channels: Channels }> = {},
): Promise<string> {
  const server = new AdminServer({ channels, routes: routes(deps) }, { host: '127.0.0.1', port: 0 });
  const { host, port } = await server.listen();
  context.after(() => server[Symbol.asyncDispose]());
  return `http://${host}:${port}`;
}

/** Like fetch, which sets Host itself. */
function get(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers, agent: false }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    })
      .on('error', reject)
      .end();
  });
}

test('is alive whether ready or not', async (context) => {
  const origin = await start(context, { readiness: () => ['starting'] });
  const response = await fetch(`${origin}/healthz`);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: 'alive' });
});

test('readiness follows its reasons', async (context) => {
  const reasons = ['starting', 'storage failed'];
  const origin = await start(context, { readiness: () => reasons });
  const notReady = await fetch(`${origin}/readyz`);
  assert.equal(notReady.status, 503);
  assert.deepEqual(await notReady.json(), { status: 'not ready', reasons: ['starting', 'storage failed'] });
  reasons.length = 0;
  const ready = await fetch(`${origin}/readyz`);
  assert.equal(ready.status, 200);
  assert.deepEqual(await ready.json(), { status: 'ready' });
});

test('a node that serves although something is wrong is ready, and says what', async (context) => {
  const warnings = ['the disk is full: no space left on device'];
  const origin = await start(context, { warnings: () => warnings });
  const response = await fetch(`${origin}/readyz`);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { status: 'ready', warnings });
});

test('serves metrics as what they are', async (context) => {
  const origin = await start(context);
  const response = await fetch(`${origin}/metrics`);
  assert.equal(response.headers.get('content-type'), 'text/plain');
  assert.equal(await response.text(), 'onepull_flights 0\n');
});

test('shows flights, pulls and the version, never from a cache', async (context) => {
  const origin = await start(context);
  for (const [path, expected] of [
    ['/api/v1/flights', { flights: [] }],
    ['/api/v1/pulls?x=1', { pulls: [] }],
    ['/api/v1/version', { version: '1.2.3', node: process.versions.node }],
  ] as const) {
    const response = await fetch(origin + path);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    assert.deepEqual(await response.json(), expected);
  }
});

test('HEAD has the headers of GET and no body', async (context) => {
  const origin = await start(context);
  const response = await fetch(`${origin}/healthz`, { method: 'HEAD' });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('content-length'), String('{"status":"alive"}\n'.length));
  assert.equal(await response.text(), '');
});

test('an unknown path and another method are refused in the form of OCI errors', async (context) => {
  const origin = await start(context);
  const missing = await fetch(`${origin}/v2/`);
  assert.equal(missing.status, 404);
  assert.deepEqual(await missing.json(), {
    errors: [{ code: 'UNSUPPORTED', message: 'the admin API has no such path', detail: {} }],
  });
  const posted = await fetch(`${origin}/healthz`, { method: 'POST', body: 'x' });
  assert.equal(posted.status, 405);
  assert.equal(posted.headers.get('allow'), 'GET, HEAD');
});

test('a page of another site and a rebound name are refused', async (context) => {
  const origin = await start(context);
  assert.equal(await get(`${origin}/metrics`, { host: 'evil.example' }), 403);
  assert.equal(await get(`${origin}/metrics`, { 'sec-fetch-site': 'cross-site' }), 403);
  assert.equal(await get(`${origin}/metrics`, { host: 'localhost' }), 200);
});

test('a failing part is 500 for this request and a notice for the operator', async (context) => {
  const channels = new Channels();
  const notices: NoticeEvent[] = [];
  channels.notice.subscribe((notice) => notices.push(notice));
  const flights = () => {
    throw new Error('secret inside');
  };
  const origin = await start(context, { channels, flights });
  const response = await fetch(`${origin}/api/v1/flights`);
  assert.equal(response.status, 500);
  assert.doesNotMatch(await response.text(), /secret/);
  assert.equal(notices.length, 1);
});

test('a taken port is one clear LISTEN_FAILED', async (context) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  context.after(() => other.close());
  const address = other.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const server = new AdminServer({ channels: new Channels(), routes: routes() }, { host: '127.0.0.1', port });
  await assert.rejects(server.listen(), (error) => {
    assert(error instanceof AppError);
    assert.equal(error.code, 'LISTEN_FAILED');
    assert.equal(error.message, `cannot listen on 127.0.0.1:${port}: another program uses it; change "admin"`);
    return true;
  });
  await server[Symbol.asyncDispose]();
});

test('closing does not wait for idle connections', async () => {
  const server = new AdminServer({ channels: new Channels(), routes: routes() }, { host: '127.0.0.1', port: 0 });
  const { port } = await server.listen();
  await (await fetch(`http://127.0.0.1:${port}/healthz`)).text();
  await server[Symbol.asyncDispose]();
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`));
});
