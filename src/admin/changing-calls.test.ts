import assert from 'node:assert/strict';
import { type RequestOptions, request } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { AppError } from '../core/errors.ts';
import { Channels, type NoticeEvent } from '../telemetry/channels.ts';
import { AdminServer, type AdminServerDeps } from './admin-server.ts';
import { type AdminRequest, type AdminRoute, jsonAnswer } from './route.ts';

const json = { 'content-type': 'application/json' };
const token = 'a-token-that-nobody-guesses';

interface Given {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A listener with routes that say what they were called with. */
async function listener(context: TestContext, deps: Partial<AdminServerDeps> = {}) {
  const calls: AdminRequest[] = [];
  const notices: NoticeEvent[] = [];
  const channels = new Channels();
  channels.notice.subscribe((notice) => notices.push(notice));
  const route = (method: AdminRoute['method'], path: string): AdminRoute => ({
    method,
    path,
    handler(call) {
      calls.push(call);
      return jsonAnswer(200, { method, params: call.params, query: [...call.query], body: call.body ?? null });
    },
  });
  const failing: AdminRoute = {
    method: 'POST',
    path: '/api/v1/failing',
    handler() {
      throw new AppError('OVERLOADED', 'too many', { retryAfterMs: 1500 });
    },
  };
  const routes = [
    route('GET', '/api/v1/things/:id'),
    route('DELETE', '/api/v1/things/:id'),
    route('GET', '/api/v1/things/all'),
    route('POST', '/api/v1/things'),
    failing,
  ];
  const server = new AdminServer({ channels, routes, ...deps }, { host: '127.0.0.1', port: 0 });
  const { port } = await server.listen();
  context.after(() => server[Symbol.asyncDispose]());
  const ask = (method: string, path: string, headers: RequestOptions['headers'] = {}, body: string | Buffer = '') =>
    new Promise<Given>((resolve, reject) => {
      const outgoing = request({ host: '127.0.0.1', port, method, path, headers: { ...headers }, agent: false });
      outgoing.on('error', reject).on('response', async (response) => {
        let text = '';
        for await (const piece of response.setEncoding('utf8')) text += piece;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
      outgoing.end(body);
    });
  return { ask, calls, notices, port };
}

test('a path with a parameter gives it decoded; one without parameters comes first', async (context) => {
  const { ask } = await listener(context);
  const one = JSON.parse((await ask('GET', '/api/v1/things/a%2Fb?x=1&y=%20')).text);
  assert.deepEqual(one.params, { id: 'a/b' });
  assert.deepEqual(one.query, [
    ['x', '1'],
    ['y', ' '],
  ]);
  assert.deepEqual(JSON.parse((await ask('GET', '/api/v1/things/all')).text).params, {});
  for (const path of ['/api/v1/things/', '/api/v1/things/a/b', '/api/v1/things/%E0%A4%A', '/api/v1/things/a/../b']) {
    assert.equal((await ask('GET', path)).status, 404, path);
  }
});

test('another method is told which ones there are', async (context) => {
  const { ask } = await listener(context);
  for (const [method, path, allow] of [
    ['PUT', '/api/v1/things/a', 'GET, HEAD, DELETE'],
    ['OPTIONS', '/api/v1/things/a', 'GET, HEAD, DELETE'],
    ['GET', '/api/v1/things', 'POST'],
    ['HEAD', '/api/v1/things', 'POST'],
  ] as const) {
    const answer = await ask(method, path);
    assert.deepEqual([answer.status, answer.headers.allow], [405, allow], `${method} ${path}`);
  }
});

test('a change comes with its JSON, and an empty body is none', async (context) => {
  const { ask } = await listener(context);
  const posted = await ask('POST', '/api/v1/things', json, '{"images":["a"]}');
  assert.deepEqual(JSON.parse(posted.text).body, { images: ['a'] });
  const charset = { 'content-type': 'Application/JSON; charset=utf-8' };
  assert.equal((await ask('POST', '/api/v1/things', charset, 'null')).status, 200);
  assert.deepEqual(JSON.parse((await ask('DELETE', '/api/v1/things/a', json)).text).body, null);
});

test('what is not JSON, not called so, or too large never reaches a handler', async (context) => {
  const { ask, calls, notices } = await listener(context);
  const large = JSON.stringify('x'.repeat(64 * 1024));
  for (const [headers, body, status] of [
    [json, '{', 400],
    [json, Buffer.from([0x22, 0xff, 0x22]), 400],
    [{}, '{}', 415],
    [{ 'content-type': 'text/plain' }, '{}', 415],
    [{ 'content-type': 'application/x-www-form-urlencoded' }, 'a=b', 415],
    [json, large, 413],
    [{ ...json, 'transfer-encoding': 'chunked' }, large, 413],
  ] as const) {
    const answer = await ask('POST', '/api/v1/things', headers, body);
    assert.equal(answer.status, status);
    assert.equal(typeof JSON.parse(answer.text).errors[0].message, 'string');
  }
  assert.equal((await ask('DELETE', '/api/v1/things/a')).status, 415);
  assert.deepEqual([calls, notices], [[], []]);
});

test('a body of just 64 KiB is taken', async (context) => {
  const { ask } = await listener(context);
  const body = JSON.stringify('x'.repeat(64 * 1024 - 2));
  assert.equal((await ask('POST', '/api/v1/things', json, body)).status, 200);
});

test('a page of another origin changes nothing', async (context) => {
  const { ask, calls, port } = await listener(context);
  const host = `localhost:${port}`;
  for (const headers of [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'same-site', origin: `http://${host}` },
    { origin: 'https://evil.example' },
    { origin: `http://localhost:${port + 1}` },
    { origin: `http://evil.example#${host}` },
    { origin: 'null' },
    { host: `evil.example:${port}`, origin: `http://evil.example:${port}` },
  ]) {
    const answer = await ask('POST', '/api/v1/things', { host, ...json, ...headers }, '{}');
    assert.equal(answer.status, 403, JSON.stringify(headers));
  }
  assert.deepEqual(calls, []);
  for (const headers of [{}, { origin: `http://${host}` }, { 'sec-fetch-site': 'same-origin' }]) {
    assert.equal((await ask('POST', '/api/v1/things', { host, ...json, ...headers }, '{}')).status, 200);
  }
});

test('with a token, who changes something has to know it; who reads does not', async (context) => {
  const { ask, calls } = await listener(context, { token: async () => token });
  for (const authorization of [undefined, 'Bearer', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`]) {
    const headers = authorization === undefined ? json : { ...json, authorization };
    const answer = await ask('POST', '/api/v1/things', headers, '{}');
    assert.deepEqual([answer.status, answer.headers['www-authenticate']], [401, 'Bearer realm="onepull"']);
    assert.doesNotMatch(answer.text, /guesses/);
  }
  assert.deepEqual(calls, []);
  for (const authorization of [`Bearer ${token}`, `bearer ${token}`]) {
    assert.equal((await ask('DELETE', '/api/v1/things/a', { ...json, authorization })).status, 200);
  }
  assert.equal((await ask('GET', '/api/v1/things/a')).status, 200);
});

test('while the token cannot be read nobody changes anything, and an empty one is none', async (context) => {
  const gone = async () => {
    throw new Error('no such file');
  };
  for (const [read, status] of [
    [gone, 500],
    [async () => '', 401],
  ] as const) {
    const { ask, calls } = await listener(context, { token: read });
    for (const authorization of ['', 'Bearer ', 'Bearer undefined']) {
      assert.equal((await ask('POST', '/api/v1/things', { ...json, authorization }, '{}')).status, status);
    }
    assert.deepEqual(calls, []);
  }
});

test('an error that was foreseen is told as what it is', async (context) => {
  const { ask } = await listener(context);
  const answer = await ask('POST', '/api/v1/failing', json, '{}');
  assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '2']);
  assert.deepEqual(JSON.parse(answer.text), {
    errors: [{ code: 'UNAVAILABLE', message: 'too many', detail: {} }],
  });
});

test('a client that leaves in the middle of its body is nothing to warn of', async (context) => {
  const { ask, notices, calls, port } = await listener(context);
  const socket = connect(port, '127.0.0.1');
  socket.end(
    'POST /api/v1/things HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
  );
  await new Promise((resolve) => socket.resume().once('close', resolve));
  assert.equal((await ask('GET', '/api/v1/things/a')).status, 200);
  assert.deepEqual([calls.length, notices], [1, []]);
});
