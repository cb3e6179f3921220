import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { get, LaneClient, undated } from './testing/lane-client.ts';
import { byDigest, digest, laneAnswers, manifest, start } from './testing/lane-gateway.ts';

describe('a request that was judged before', () => {
  const questions: [string, string][] = [
    ['GET by digest', get(byDigest)],
    ['GET by tag', get('/v2/a/manifests/v1', 'Accept: application/vnd.oci.image.manifest.v1+json')],
    ['HEAD', get('/v2/a/manifests/v1').replace('GET', 'HEAD')],
    ['If-None-Match that names it', get(byDigest, `If-None-Match: "${digest}"`)],
    ['HEAD with If-None-Match', get(byDigest, `If-None-Match: "${digest}"`).replace('GET', 'HEAD')],
    ['If-None-Match that names another', get(byDigest, `If-None-Match: "sha256:${'0'.repeat(64)}"`)],
    ['Range of all of it', get(byDigest, 'Range: bytes=0-')],
    ['If-Range that does not match', get(byDigest, 'Range: bytes=5-9', 'If-Range: "x"')],
    ['Connection: keep-alive', get(byDigest, 'Connection: keep-alive')],
  ];
  for (const [name, head] of questions) {
    it(`is answered with the same bytes, and node:http sees nothing of it: ${name}`, async () => {
      await using gateway = await start();
      await using plain = await start({ remembers: false });
      const [client, other] = [new LaneClient(gateway.port), new LaneClient(plain.port)];
      const expected = undated(await other.ask(head));
      for (let round = 0; round < 4; round++) assert.equal(undated(await client.ask(head)), expected);
      assert.equal(laneAnswers(gateway), 3);
      assert.equal(gateway.depot.manifestRequests.length, 1);
      assert.equal(gateway.requests.length, 4);
      await Promise.all([client.leave(), other.leave()]);
    });
  }

  it('is told to the log and the metrics as any other', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    const head = get('/v2/a/manifests/v1?ns=docker.io', 'User-Agent: puller/1');
    for (let round = 0; round < 3; round++) await client.ask(head);
    const [, slow, quick] = [gateway.requests[0], gateway.requests[1], await gateway.event(2)];
    assert.deepEqual({ ...quick, id: slow?.id, served: slow?.served }, slow);
    assert.equal(quick.served, 'hit');
    assert.deepEqual(new Set(gateway.served.map(({ bytes }) => bytes)), new Set([manifest.length]));
    assert.equal(gateway.served.length, 3);
    gateway.clock.advance(1_000);
    assert.deepEqual(
      gateway.notes.map(({ method, count, digest: noted }) => [method, count, noted]),
      [
        ['GET', 1, digest],
        ['GET', 1, digest],
      ],
    );
    await client.leave();
  });

  it('is told to traces as often as any other', async () => {
    await using gateway = await start({ traceOneIn: 1 });
    await using untraced = await start({ traceOneIn: 1_000_000 });
    const [client, other] = [new LaneClient(gateway.port), new LaneClient(untraced.port)];
    for (let round = 0; round < 3; round++) await Promise.all([client.ask(get(byDigest)), other.ask(get(byDigest))]);
    await Promise.all([gateway.event(2), untraced.event(2)]);
    assert.deepEqual([laneAnswers(gateway), laneAnswers(untraced)], [2, 2]);
    assert.deepEqual(
      gateway.traced.map(({ event, trace }) => [event.id, trace.traceId, trace.parentSpanId]),
      gateway.requests.map(({ id, traceId }) => [id, traceId, undefined]),
    );
    assert.equal(new Set(gateway.traced.map(({ trace }) => trace.spanId)).size, 3);
    assert.deepEqual(untraced.traced, []);
    await Promise.all([client.leave(), other.leave()]);
  });

  it('has the date of its own second', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    await client.ask(get(byDigest));
    assert.match(await client.ask(get(byDigest)), /\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n/);
    gateway.clock.advance(61_000);
    assert.match(await client.ask(get(byDigest)), /\r\nDate: Thu, 01 Jan 2026 00:01:01 GMT\r\n/);
    await client.leave();
  });

  it('is answered to another client too, after its first request', async () => {
    await using gateway = await start();
    const [one, two] = [new LaneClient(gateway.port), new LaneClient(gateway.port)];
    await one.ask(get(byDigest));
    await two.ask(get(byDigest));
    assert.equal(laneAnswers(gateway), 0);
    await two.ask(get(byDigest));
    assert.equal(laneAnswers(gateway), 1);
    await Promise.all([one.leave(), two.leave()]);
  });
});

describe('what goes to node:http each time', () => {
  const others: [string, string][] = [
    ['another case', get(byDigest).replace('Host', 'HOST')],
    ['credentials', get(byDigest, 'Authorization: Basic eDp5')],
    ['a cookie', get(byDigest, 'Cookie: a=b')],
    ['a place in a trace', get(byDigest, `Traceparent: 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`)],
    ['a body of no bytes', get(byDigest, 'Content-Length: 0')],
    ['a part', get(byDigest, 'Range: bytes=5-9')],
    ['an upgrade', get(byDigest, 'Connection: upgrade', 'Upgrade: h2c')],
    ['a long head', get(byDigest, `X: ${'y'.repeat(5_000)}`)],
  ];
  for (const [name, head] of others) {
    it(name, async () => {
      await using gateway = await start();
      const client = new LaneClient(gateway.port);
      await client.ask(get(byDigest));
      const first = undated(await client.ask(head));
      if (name !== 'another case') assert.equal(undated(await client.ask(head)), first);
      assert.equal(laneAnswers(gateway), 0);
      await client.leave();
    });
  }

  it('HTTP/1.0, an expectation, and a connection that is to be closed', async () => {
    await using gateway = await start();
    for (const head of [
      get(byDigest).replace('HTTP/1.1', 'HTTP/1.0'),
      get(byDigest).replace('HTTP/1.1', 'HTTP/1.0').replace('\r\n\r\n', '\r\nConnection: keep-alive\r\n\r\n'),
      get(byDigest, 'Connection: close'),
      get(byDigest, 'Expect: 100-continue'),
    ]) {
      for (let round = 0; round < 3; round++) {
        const client = new LaneClient(gateway.port);
        await client.ask(get(byDigest));
        await client.ask(head);
        client.socket.destroy();
        await client.closed;
      }
    }
    assert.equal(laneAnswers(gateway), 0);
  });

  it('what is not there: a failure is never remembered', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 3; round++) {
      assert.match(await client.ask(get('/v2/b/manifests/v1')), /^HTTP\/1.1 404 /);
    }
    assert.equal(gateway.depot.manifestRequests.length, 3);
    assert.equal(laneAnswers(gateway), 0);
    await client.leave();
  });

  it('what the depot does not let be kept', async () => {
    await using gateway = await start();
    gateway.depot.keepUntilMs = undefined;
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 3; round++) await client.ask(get(byDigest));
    assert.equal(gateway.depot.manifestRequests.length, 3);
    assert.equal(laneAnswers(gateway), 0);
    await client.leave();
  });

  it('the same digest in another repository, which is asked for by itself', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 3; round++) await client.ask(get(byDigest));
    const answer = await client.ask(get(byDigest.replace('/a/', '/b/')));
    assert.match(answer, /^HTTP\/1.1 404 /);
    assert.equal(gateway.depot.manifestRequests[1]?.scope.repository, 'b');
    await client.leave();
  });
});

describe('what is remembered', () => {
  it('is asked for anew after a change, and a moved tag is answered with what it names now', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    const head = get('/v2/a/manifests/v1');
    for (let round = 0; round < 3; round++) await client.ask(head);
    gateway.depot.addManifest('a', 'v1', Buffer.from('{"new":true}'), 'application/json');
    gateway.depot.changes.bump();
    for (let round = 0; round < 3; round++) assert.match(await client.ask(head), /\{"new":true\}$/);
    assert.equal(gateway.depot.manifestRequests.length, 2);
    assert.equal(laneAnswers(gateway), 4);
    await client.leave();
  });

  it('is asked for anew when its time is up', async () => {
    await using gateway = await start();
    gateway.depot.keepUntilMs = gateway.clock.now() + 60_000;
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    gateway.clock.advance(59_999);
    await client.ask(get(byDigest));
    assert.equal(gateway.depot.manifestRequests.length, 1);
    gateway.clock.advance(1);
    await client.ask(get(byDigest));
    assert.equal(gateway.depot.manifestRequests.length, 2);
    await client.leave();
  });
});
