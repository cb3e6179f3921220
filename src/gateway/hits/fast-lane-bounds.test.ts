import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { RawClient } from '../testing/test-client.ts';
import { until } from '../testing/test-gateway.ts';
import { framed, get, LaneClient } from './testing/lane-client.ts';
import { byDigest, laneAnswers, start } from './testing/lane-gateway.ts';

describe('a client that does not read', () => {
  const large = Buffer.alloc(200_000, '{"a":1}');
  const largePath = `/v2/a/manifests/${digestOf(large)}`;

  it('is owed one answer at most from here, is counted among the answers under way, and is cut after its time', async () => {
    await using gateway = await start({ clientTimeoutMs: 1_000 });
    gateway.depot.addManifest('a', 'large', large, 'application/json');
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(largePath));
    client.socket.pause();
    while (gateway.server.load().responses === 0) {
      client.socket.write(get(largePath));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(gateway.server.load().queuedBytes > 0);
    assert.ok(gateway.server.load().queuedBytes < 3 * large.length);
    gateway.clock.advance(1_500);
    await until(() => gateway.connections === 0);
    assert.equal(gateway.requests.at(-1)?.complete, false);
    client.socket.destroy();
    await client.closed;
  });

  it('has what it is owed when it reads again, although we close meanwhile', async () => {
    await using gateway = await start();
    gateway.depot.addManifest('a', 'large', large, 'application/json');
    const client = new LaneClient(gateway.port);
    let asked = 2;
    for (let round = 0; round < 2; round++) await client.ask(get(largePath));
    client.socket.pause();
    const had = client.text.length;
    const length = had / 2;
    while (gateway.server.load().responses === 0) {
      client.socket.write(get(largePath));
      asked++;
      await new Promise((resolve) => setImmediate(resolve));
      await client.arrived();
    }
    const drained = gateway.server.drain(10_000);
    client.socket.resume();
    const { text, reset } = await client.closed;
    await drained;
    assert.equal(reset, false);
    assert.ok(text.length >= (asked - 1) * length, `${text.length} of ${asked} x ${length}`);
  });
});

describe('the bounds of the gateway', () => {
  it('hold: where no more answers may be under way, a request is refused as any other', async () => {
    await using gateway = await start({ maxResponses: 1 });
    const blob = gateway.content('bytes', { filled: 0 });
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    const other = new RawClient(gateway.port).send(get(`/v2/a/blobs/${blob.digest}`));
    await until(() => blob.waiting === 1);
    assert.match(await client.ask(get(byDigest)), /^HTTP\/1.1 503 /);
    blob.finish();
    await other.received(/bytes$/);
    await until(() => gateway.server.load().responses === 0);
    assert.match(await client.ask(get(byDigest)), /^HTTP\/1.1 200 /);
    other.socket.destroy();
    await Promise.all([other.closed, client.leave()]);
  });

  it('an idle connection is the one whose last request was longest ago', async () => {
    await using gateway = await start({ maxConnections: 2 });
    const [one, two] = [new LaneClient(gateway.port), new LaneClient(gateway.port)];
    for (const client of [one, two]) for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    gateway.clock.advance(2_000);
    await one.ask(get(byDigest));
    gateway.clock.advance(2_000);
    const three = new LaneClient(gateway.port);
    await three.ask(get(byDigest));
    await two.closed;
    assert.equal(one.socket.closed, false);
    await Promise.all([one.leave(), three.leave()]);
  });

  it('a shutdown is said to those who ask while it lasts', async () => {
    await using gateway = await start();
    const blob = gateway.content('bytes', { filled: 0 });
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    client.socket.write(get(`/v2/a/blobs/${blob.digest}`));
    await until(() => blob.waiting === 1);
    const drained = gateway.server.drain(10_000);
    blob.finish();
    await until(() => client.text.endsWith('bytes'));
    assert.match(framed(client.text, [false, false, false]).at(-1) ?? '', /Connection: close/);
    await client.closed;
    await drained;
  });

  it('a connection that is kept is closed after its time without a request, not before', async () => {
    await using gateway = await start({ keepAliveTimeoutMs: 300 });
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 5; round++) await client.ask(get(byDigest));
    assert.equal(laneAnswers(gateway), 4);
    const { reset } = await client.closed;
    assert.equal(reset, false);
  });

  it('a connection is not taken for one without a request because none came to node:http', async () => {
    await using gateway = await start({ headersReceiveTimeoutMs: 200, requestReceiveTimeoutMs: 200 });
    const client = new LaneClient(gateway.port);
    const fromMs = performance.now();
    while (performance.now() - fromMs < 700) await client.ask(get(byDigest));
    assert.ok(laneAnswers(gateway) > 3);
    await client.leave();
  });
});
