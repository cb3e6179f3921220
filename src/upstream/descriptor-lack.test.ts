import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { describe, it } from 'node:test';
import { ociManifest } from '../core/media-types.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import type { Channels } from '../telemetry/channels.ts';
import { failure, fakeDns, makeClient, never, openBlob, repository, someDigest } from './testing/test-client.ts';
import { answer, type Handler, TestServer } from './testing/test-server.ts';

const well: Handler = (_, response) => answer(response, 200, { 'content-type': ociManifest }, '{}');

/** Dials `.test` names for as long as there are descriptors. */
function descriptors() {
  const state = { code: 'EMFILE', areLeft: false, dialled: 0 };
  const lookup: LookupFunction = (hostname, options, callback) => {
    state.dialled++;
    if (state.areLeft) return fakeDns()(hostname, options, callback);
    callback(Object.assign(new Error(`connect ${state.code} ${hostname}`), { code: state.code }), []);
  };
  return { state, lookup };
}

function refusals({ refused }: Channels): string[] {
  const bounds: string[] = [];
  refused.subscribe(({ bound }) => bounds.push(bound));
  return bounds;
}

async function twoEndpoints(handler: Handler) {
  await using opening = new AsyncDisposableStack();
  const server = opening.use(await TestServer.start(handler));
  const { state, lookup } = descriptors();
  const at = (host: string) => server.url.replace('127.0.0.1', host);
  const made = makeClient([at('a.test'), at('b.test')], { lookup, hedge: false, clock: new VirtualClock() });
  opening.use(made.client);
  return { ...made, server, state, bounds: refusals(made.channels), stack: opening.move() };
}

describe('a process without a file descriptor for a connection', () => {
  it('is overloaded for a second, and no endpoint is blamed', async () => {
    const { client, events, state, bounds, stack } = await twoEndpoints(well);
    await using _ = stack;
    const before = client.snapshot().endpoints;
    for (const code of ['EMFILE', 'ENFILE', 'EMFILE', 'ENFILE', 'EMFILE']) {
      state.code = code;
      const manifest = client.getManifest(repository, 'latest', ociManifest, 1000, never);
      const error = await failure(manifest, 'OVERLOADED');
      assert.deepEqual([error.status, error.retryAfterMs], [503, 1000]);
      await failure(openBlob(client, someDigest, 0, 10, never), 'OVERLOADED');
    }
    assert.deepEqual(events.breakers, []);
    assert.deepEqual(client.snapshot().endpoints, before);
    assert.equal(bounds.length, state.dialled);
    assert.deepEqual(new Set(bounds), new Set(['descriptors']));
  });

  it('is answered at once when it has one again', async () => {
    const { client, server, state, stack } = await twoEndpoints(well);
    await using _ = stack;
    for (let n = 0; n < 5; n++) {
      await failure(client.getManifest(repository, 'latest', ociManifest, 1000, never), 'OVERLOADED');
    }
    state.areLeft = true;
    await client.getManifest(repository, 'latest', ociManifest, 1000, never);
    assert.equal(server.requests.length, 1);
  });

  it('does not take it for a limit of the token server', async () => {
    await using server = await TestServer.start((_, response) =>
      answer(response, 401, {
        'www-authenticate': `Bearer realm="${server.url.replace('127.0.0.1', 'auth.test')}/token"`,
      }),
    );
    const { state, lookup } = descriptors();
    const { client, channels } = makeClient(server.url, { lookup, clock: new VirtualClock() });
    await using _ = client;
    const pauses: unknown[] = [];
    channels.pause.subscribe((pause) => pauses.push(pause));
    await failure(client.getManifest(repository, 'latest', ociManifest, 1000, never), 'OVERLOADED');
    assert.equal(state.dialled, 1, 'it is the token server that was dialled');
    assert.deepEqual(pauses, []);
  });
});
