import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../testing/test-gateway.ts';
import { get, LaneClient, undated } from './testing/lane-client.ts';
import { byDigest, digest, laneAnswers, start } from './testing/lane-gateway.ts';

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

  const tails: [string, string][] = [
    ['what is no request', 'garbage\r\n\r\n'],
    ['a CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['the beginning of another one, and an empty line', 'GET / HTTP/1.1\nHost: a\n\n\r\n\r\n'],
  ];
  for (const [name, tail] of tails) {
    it(`together with ${name} is left to node:http each time`, async () => {
      await using gateway = await start();
      for (let round = 0; round < 3; round++) {
        const client = new LaneClient(gateway.port);
        await client.ask(get(byDigest));
        client.socket.write(get(byDigest) + tail);
        const length = client.text.length;
        await until(() => client.text.length > length || client.socket.closed);
        await client.arrived();
        gateway.clock.advance(1_000);
        await client.closed;
      }
      assert.equal(laneAnswers(gateway), 0);
    });
  }

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
