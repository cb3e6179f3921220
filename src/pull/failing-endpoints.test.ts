import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { asAppError, type ErrorCode } from '../core/errors.ts';
import { ociManifest } from '../core/media-types.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { retryDefaults, retryPolicy } from '../routing/retry-policy.ts';
import { Channels } from '../telemetry/channels.ts';
import { makeClient, repository } from '../upstream/testing/test-client.ts';
import { answer, type Handler, TestServer } from '../upstream/testing/test-server.ts';
import { withAttempts } from './attempts.ts';

const boundMs = 22_500;
/** What one endpoint may be asked at the most for one request of ours, whatever is tried again, hedged or gone on to. */
const mostRequests = 12;

/** One manifest of an upstream whose endpoints all do the same; what came of it, when, and what each was asked. */
async function askAll(handler: Handler, count: number) {
  await using stack = new AsyncDisposableStack();
  const clock = new VirtualClock();
  const servers: TestServer[] = [];
  for (let n = 0; n < count; n++) servers.push(stack.use(await TestServer.start(handler)));
  const urls = servers.map(({ url }) => url);
  const { client } = makeClient(urls, { clock, hedge: true });
  stack.use(client);
  const deps = { clock, retry: retryPolicy(retryDefaults, () => 0), channels: new Channels() };
  let code: ErrorCode | 'none' | undefined;
  const asked = withAttempts(deps, { boundMs, upstream: 'test', kind: 'manifest' }, (signal) =>
    client.getManifest(repository, 'latest', ociManifest, 1000, signal),
  ).then(
    () => 'none' as const,
    (error: unknown) => asAppError(error).code,
  );
  void asked.then((outcome) => {
    code = outcome;
  });
  while (code === undefined) {
    for (let n = 0; n < 20; n++) await turn();
    if (code === undefined) clock.advance(50);
  }
  const requests = servers.map((server) => server.requests.filter(({ url }) => url.includes('/manifests/')).length);
  return { code, requests, tookMs: clock.monotonic() };
}

describe('one request for a manifest, where every endpoint', () => {
  const outages: [name: string, handler: Handler, code: ErrorCode][] = [
    ['fails', (_, response) => answer(response, 503), 'UPSTREAM_FAILED'],
    ['hangs up', (_, response) => response.destroy(), 'UPSTREAM_UNREACHABLE'],
    ['is silent', () => {}, 'UPSTREAM_TIMEOUT'],
    ['limits us for a second each time', (_, one) => answer(one, 429, { 'retry-after': '1' }), 'UPSTREAM_RATE_LIMITED'],
  ];
  for (const [name, handler, expected] of outages) {
    for (const count of [1, 2, 4]) {
      it(`${name}, is told so in time by ${count}, and has asked each of them a few times at the most`, async () => {
        const { code, requests, tookMs } = await askAll(handler, count);
        assert.equal(code, expected);
        assert.ok(tookMs <= boundMs + 50, `${tookMs} ms`);
        assert.ok(
          requests.every((asked) => asked <= mostRequests),
          `${requests}`,
        );
      });
    }
  }

  it('but the last one is bad is answered by that one in time', async () => {
    for (const bad of outages.map(([, handler]) => handler)) {
      let places = 0;
      const seen = new Map<string, number>();
      const handler: Handler = (request, response) => {
        const host = request.headers.host ?? '';
        if (!seen.has(host)) seen.set(host, places++);
        if (seen.get(host) !== 3) return bad(request, response);
        answer(response, 200, { 'content-type': ociManifest }, '{}');
      };
      const { code, requests, tookMs } = await askAll(handler, 4);
      assert.deepEqual([code, requests.reduce((sum, asked) => sum + asked, 0) <= 8], ['none', true], `${requests}`);
      assert.ok(tookMs < boundMs, `${tookMs} ms`);
    }
  });
});
