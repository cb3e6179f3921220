import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { RawClient } from '../testing/test-client.ts';
import { TestGateway, until } from '../testing/test-gateway.ts';
import { framed, get, LaneClient, undated } from './testing/lane-client.ts';

const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, note: 'x'.repeat(1_500) }));
const digest = digestOf(manifest);
const byDigest = `/v2/a/manifests/${digest}`;
const never = Number.POSITIVE_INFINITY;

async function start(options: Parameters<typeof TestGateway.start>[0] = {}) {
  const gateway = await TestGateway.start({ remembers: true, ...options });
  gateway.depot.addManifest('a', 'v1', manifest, 'application/vnd.oci.image.manifest.v1+json');
  gateway.depot.keepUntilMs = never;
  return gateway;
}

/** How many answers node:http has not seen: those that were not parsed took no id. */
function laneAnswers({ server }: TestGateway): number {
  return server.laneAnswers;
}

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

describe('what comes over a connection', () => {
  it('in one chunk with another request is all answered, in order', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    const other = get('/v2/a/manifests/v1');
    const answers = await client.askAll([get(byDigest) + other + get(byDigest)], [false, false, false]);
    assert.deepEqual(
      answers.map((answer) => /Cache-Control: (\S+)/.exec(answer)?.[1]),
      ['max-age=31536000,', 'no-cache', 'max-age=31536000,'],
    );
    await client.ask(get(byDigest));
    assert.equal(laneAnswers(gateway), 2);
    await client.leave();
  });

  it('is not taken for a request in the middle of another one', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    const before = laneAnswers(gateway);
    // The known head ends the head of a request for something else, and is part of its header.
    client.socket.write('GET /v2/none/manifests/v1 HTTP/1.1\r\nHost: a\r\nX: ');
    await client.arrived();
    const [answer] = await client.askAll([get(byDigest)], [false]);
    assert.match(answer ?? '', /^HTTP\/1.1 (404|400) /);
    assert.equal(laneAnswers(gateway), before);
    client.socket.destroy();
    await client.closed;
  });

  it('is not taken for a request where it is a body', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    const body = get(byDigest);
    client.socket.write(`GET ${byDigest} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
    await client.arrived();
    client.socket.write(body);
    const { text } = await client.closed;
    assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 3);
    assert.equal(laneAnswers(gateway), 1);
  });

  it('after a CONNECT is nothing', async () => {
    await using gateway = await start();
    const client = new LaneClient(gateway.port);
    for (let round = 0; round < 2; round++) await client.ask(get(byDigest));
    client.socket.write('CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => /405/.test(client.text));
    client.socket.write(get(byDigest));
    client.socket.end();
    gateway.clock.advance(1_000);
    const { text } = await client.closed;
    assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 3);
  });

  it('in pieces is answered as if node:http had read it alone, whatever the pieces', async (t) => {
    const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
    t.diagnostic(`SEED=${seed}`);
    const random = mulberry(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    await using gateway = await start();
    await using plain = await start({ remembers: false });
    const heads = [
      get(byDigest),
      get(byDigest),
      get('/v2/a/manifests/v1'),
      get('/v2/a/manifests/v1').replace('GET', 'HEAD'),
      get(byDigest, 'Range: bytes=3-7'),
      get('/v2/none/manifests/v1'),
      get('/v2/', 'X: y'),
      get(byDigest, `If-None-Match: "${digest}"`),
      `\r\n${get(byDigest)}`,
    ];
    for (let history = 0; history < 20; history++) {
      const asked = Array.from({ length: 30 }, () => pick(heads));
      const text = asked.join('');
      const isHead = asked.map((head) => head.startsWith('HEAD'));
      const pieces: string[] = [];
      for (let from = 0, index = 0; from < text.length; ) {
        // Mostly whole heads, as clients send them.
        const whole = asked[index]?.length ?? 0;
        const length = random() < 0.7 ? whole : 1 + Math.floor(random() * 300);
        pieces.push(text.slice(from, from + length));
        from += length;
        for (let sum = 0, at = 0; at < asked.length; at++) {
          sum += asked[at]?.length ?? 0;
          index = at + 1;
          if (sum > from) {
            if (random() < 0.5) {
              pieces.push(text.slice(from, sum));
              from = sum;
            } else index = at;
            break;
          }
        }
      }
      const [one, two] = [new LaneClient(gateway.port), new LaneClient(plain.port)];
      const [answers, expected] = await Promise.all([one.askAll(pieces, isHead), two.askAll(pieces, isHead)]);
      assert.deepEqual(answers.map(undated).map(anonymous), expected.map(undated).map(anonymous));
      await Promise.all([one.leave(), two.leave()]);
    }
    assert.ok(laneAnswers(gateway) > 50, `${laneAnswers(gateway)} answers`);
  });
});

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

function anonymous(answer: string): string {
  return answer.replaceAll(/[0-9a-f]{8}-[0-9a-z]+/g, 'id');
}

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
