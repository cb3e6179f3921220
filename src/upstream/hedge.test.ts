import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { describe, it } from 'node:test';
import { ociManifest } from '../core/media-types.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { makeClient, never, repository, someDigest } from './testing/test-client.ts';
import { answer, TestServer } from './testing/test-server.ts';

function give(response: ServerResponse): void {
  answer(response, 200, { 'content-type': ociManifest, 'docker-content-digest': someDigest }, '{}');
}

/** A first endpoint that answers when it is told to, a second that answers at once, or as told too. */
async function hedging(more: { hedge?: boolean; second?: (response: ServerResponse) => void } = {}) {
  const stack = new AsyncDisposableStack();
  const clock = new VirtualClock();
  const waiting: ServerResponse[] = [];
  const a = stack.use(await TestServer.start((_, response) => void waiting.push(response)));
  const b = stack.use(await TestServer.start((_, response) => (more.second ?? give)(response)));
  const { client, events } = makeClient([a.url, b.url], { clock, hedge: more.hedge ?? true });
  stack.use(client);
  const get = () => client.getManifest(repository, 'latest', ociManifest, 1000, never);
  const head = () => client.headManifest(repository, 'latest', ociManifest, never);
  const arrived = async (server: TestServer, count: number) => {
    while (server.requests.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, waiting, a, b, client, events, get, head, arrived, stack };
}

describe('a manifest that an endpoint is slow to give', () => {
  it('is asked of the second as well, which wins; the first is left', async () => {
    const { clock, a, b, events, get, head, arrived, stack } = await hedging();
    await using _ = stack;
    for (const [n, ask] of [get, head].entries()) {
      const asked = ask();
      await arrived(a, n + 1);
      assert.equal(b.requests.length, n, 'the second is not asked before it is time');
      clock.advance(1000 + 2000 * n);
      assert.equal((await asked)?.digest, someDigest);
    }
    assert.deepEqual(events.hedges, ['won', 'won']);
    assert.deepEqual(events.retries, [], 'nothing has failed');
    await a.idle();
  });

  it('is taken from the first where that answers after all', async () => {
    const { clock, waiting, a, b, events, get, arrived, stack } = await hedging({ second: () => {} });
    await using _ = stack;
    const asked = get();
    await arrived(a, 1);
    clock.advance(1000);
    await arrived(b, 1);
    give(waiting[0] as ServerResponse);
    await asked;
    assert.deepEqual(events.hedges, ['lost']);
    await b.idle();
  });

  it('is waited for where the second does not have it', async () => {
    const { clock, waiting, a, events, get, arrived, stack } = await hedging({
      second: (response) => answer(response, 404),
    });
    await using _ = stack;
    const asked = get();
    await arrived(a, 1);
    clock.advance(1000);
    while (events.requests.length < 1) await new Promise((resolve) => setImmediate(resolve));
    give(waiting[0] as ServerResponse);
    await asked;
    assert.deepEqual(events.hedges, ['lost']);
  });

  it('is not asked twice where that is switched off', async () => {
    const { clock, waiting, a, b, events, get, arrived, stack } = await hedging({ hedge: false });
    await using _ = stack;
    const asked = get();
    await arrived(a, 1);
    clock.advance(7999);
    give(waiting[0] as ServerResponse);
    await asked;
    assert.deepEqual([b.requests.length, events.hedges], [0, []]);
  });

  it('is not asked twice of more than the budget allows at once', async () => {
    const { clock, a, b, events, get, arrived, stack } = await hedging({ second: () => {} });
    await using _ = stack;
    const asked = Array.from({ length: 12 }, () => get().catch(() => {}));
    // Four connections are for what is no body.
    await arrived(a, 4);
    clock.advance(1000);
    await arrived(b, 4);
    await stack.disposeAsync();
    await Promise.all(asked);
    assert.deepEqual(
      events.hedges,
      Array.from({ length: 5 }, () => 'failed'),
    );
  });

  it('makes the slow endpoint the second choice, and nobody waits for it any more', async () => {
    const { clock, a, b, get, arrived, stack, events } = await hedging();
    await using _ = stack;
    for (let n = 1; n <= 2; n++) {
      const asked = get();
      await arrived(a, n);
      clock.advance(clock.nextDueInMs ?? 0);
      await asked;
      await a.idle();
    }
    for (let n = 0; n < 5; n++) await get();
    assert.deepEqual([a.requests.length, b.requests.length], [2, 7]);
    assert.equal(events.breakers.length, 0, 'slow is not dead');
  });
});
