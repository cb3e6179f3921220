import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { sampleBytes } from '../../store/testing/sample-content.ts';
import { ScriptedSource } from '../testing/scripted-source.ts';
import { type PassedClient, PassingWorld } from './testing/passing-world.ts';

const content = sampleBytes(1, 40_000);
const digest = digestOf(content);
const size = content.length;

const upstream = (name = 'a', bytes: Uint8Array = content) => new ScriptedSource(name, bytes);

function assertWhole(client: PassedClient, start = 0, end = size): void {
  assert.equal(client.outcome, 'complete');
  assert.ok(client.bytes.equals(content.subarray(start, end)), 'wrong bytes');
}

function assertCut(client: PassedClient, code = 'CONTENT_MISMATCH'): void {
  assert.ok(client.outcome instanceof AppError, `is ${client.outcome}`);
  assert.equal(client.outcome.code, code);
}

const bytesSent = (source: ScriptedSource) => source.sent.reduce((sum, times) => sum + times, 0);

describe('a blob that is passed', () => {
  it('is transferred once for all who are near each other', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    for (let n = 0; n < 20; n++) world.join(source);
    await world.flow(source);
    for (const client of world.clients) assertWhole(client);
    assert.equal(bytesSent(source), size);
    assert.equal(source.attempts.length, 1);
    assert.deepEqual(world.passed, [{ digest, cause: 'too-large' }]);
    const { event, notKept, receivedBytes, keptBytes, endpoint } = world.events.at(-1) ?? {};
    assert.deepEqual([event, notKept, receivedBytes, keptBytes], ['passed', 'too-large', size, 0]);
    assert.deepEqual([endpoint, world.table.ended()[0]?.notKept], ['a', 'too-large']);
    world.assertNothingLeft();
  });

  it('goes to one who joins while its beginning is still in the window without being asked for again', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const first = world.join(source);
    await world.quiet();
    source.asking[0]?.answer();
    await world.quiet();
    source.awaited[0]?.deliver(3000);
    await world.quiet();
    first.read(3000);
    world.join(source);
    await world.flow(source);
    for (const client of world.clients) assertWhole(client);
    assert.equal(bytesSent(source), size);
    world.assertNothingLeft();
  });

  it('waits for nobody: the foremost gets all of it while another one takes nothing, who goes on by itself', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const slow = world.join(source);
    const fast = world.join(source);
    slow.isGreedy = false;
    await world.quiet();
    source.asking[0]?.answer();
    for (let turn = 0; fast.isFollowing && turn < 500; turn++) {
      await world.quiet();
      source.awaited[0]?.deliver(400);
      fast.read(400);
    }
    assertWhole(fast);
    assert.equal(slow.received.length, 0);
    assert.equal(source.attempts.length, 1);
    await world.flow(source);
    assertWhole(slow);
    assert.equal(bytesSent(source), 2 * size);
    world.assertNothingLeft();
  });

  it('is read no further ahead of the foremost reader than the window lets it be', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const client = world.join(source);
    client.isGreedy = false;
    await world.quiet();
    source.asking[0]?.answer();
    for (let turn = 0; turn < 100; turn++) {
      await world.quiet();
      source.awaited[0]?.deliver(100);
    }
    assert.equal(bytesSent(source), 3200);
    assert.equal(world.table.snapshot(digest)?.waitingFor, 'its readers');
    client.leave();
    world.assertNothingLeft();
  });

  it('holds no connection for a client that takes its time, and is then asked for in pieces, no byte twice', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const client = world.join(source);
    client.isGreedy = false;
    await world.quiet();
    source.asking[0]?.answer();
    for (let turn = 0; client.isFollowing && turn < 1000; turn++) {
      await world.quiet();
      source.asking[0]?.answer();
      await world.quiet();
      if (source.awaited.length > 0) {
        source.awaited[0]?.deliver(100);
      } else {
        world.clock.advance(6000);
        await world.quiet();
        assert.equal(source.attempts.filter(({ isOver }) => !isOver).length, 0, 'a connection is held');
        client.read(500);
      }
    }
    assertWhole(client);
    assert.equal(bytesSent(source), size);
    assert.ok(source.attempts.length > 5);
    world.assertNothingLeft();
  });

  it('goes over to a pass that is further on where that has its next byte', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const ahead = world.join(source, { range: { start: 5000, end: 39_000 } });
    ahead.isGreedy = false;
    await world.quiet();
    source.asking[0]?.answer();
    await world.quiet();
    source.awaited[0]?.deliver(3200);
    await world.quiet();
    const behind = world.join(source);
    for (let turn = 0; turn < 300 && behind.position < 8000; turn++) {
      await world.quiet();
      const own = source.attempts[1];
      if (own?.isAnswered === false) own.answer();
      if (own?.isAwaited) own.deliver(200);
      behind.read(200);
    }
    assert.equal(source.attempts[1]?.isLeft, true, 'what is behind goes on');
    await world.flow(source);
    assertWhole(behind);
    assertWhole(ahead, 5000, 39_000);
    assert.ok(bytesSent(source) < size + 4000, `sent ${bytesSent(source)}`);
    world.assertNothingLeft();
  });

  it('goes on at the first missing byte when its source dies, with another one', async () => {
    const [world, a, b] = [new PassingWorld(digest), upstream('a'), upstream('b')];
    for (let n = 0; n < 3; n++) world.join([a, b]);
    await world.quiet();
    a.asking[0]?.answer();
    for (let turn = 0; turn < 30; turn++) {
      await world.quiet();
      a.awaited[0]?.deliver(400);
      for (const client of world.clients) client.read(400);
    }
    await world.quiet();
    a.awaited[0]?.cut();
    await world.quiet();
    world.clock.advance(200);
    await world.flow([a, b]);
    for (const client of world.clients) assertWhole(client);
    assert.equal(b.attempts[0]?.start, bytesSent(a));
    assert.equal(bytesSent(a) + bytesSent(b), size);
    world.assertNothingLeft();
  });

  it('is made good by another source when one stalls before or in the middle of its body, or trickles', async () => {
    for (const how of ['silent', 'stalled', 'trickling'] as const) {
      const [world, a, b] = [new PassingWorld(digest, { minProgressBytes: 50 }), upstream('a'), upstream('b')];
      world.join([a, b]);
      await world.quiet();
      if (how !== 'silent') a.asking[0]?.answer();
      await world.quiet();
      if (how === 'stalled') a.awaited[0]?.deliver(300);
      for (let second = 0; second < 50 && b.attempts.length === 0; second++) {
        if (how === 'trickling') a.awaited[0]?.deliver(2);
        await world.quiet();
        world.clock.advance(1000);
        await world.quiet();
      }
      assert.ok(world.clock.monotonic() < 25_000, how);
      await world.flow(b);
      assertWhole(world.clients[0] as PassedClient);
      assert.ok(a.attempts[0]?.isLeft);
      world.assertNothingLeft();
    }
  });

  it('never completes with wrong bytes: each who had some is cut, the source is discredited once', async () => {
    const [world, bad] = [new PassingWorld(digest), upstream('bad', sampleBytes(2, size))];
    for (let n = 0; n < 5; n++) world.join(bad);
    await world.flow(bad);
    for (const client of world.clients) {
      assertCut(client);
      assert.ok(client.received.length <= size - 100, 'the end was handed out');
    }
    assert.equal(bad.discredits.length, 1);
    assert.equal(world.events.at(-1)?.event, 'failed');
    world.assertNothingLeft();
  });

  it('is right from another source where the client has had nothing of the wrong one', async () => {
    const small = content.subarray(0, 90);
    const world = new PassingWorld(digestOf(small));
    const [bad, good] = [upstream('bad', sampleBytes(2, 90)), upstream('good', small)];
    for (let n = 0; n < 5; n++) world.join([bad, good]);
    await world.flow([bad, good]);
    for (const client of world.clients) {
      assert.equal(client.outcome, 'complete');
      assert.ok(client.bytes.equals(small));
    }
    assert.equal(good.attempts.length, 1);
    world.assertNothingLeft();
  });

  it('fails where every source has wrong bytes, after a few', async () => {
    const small = content.subarray(0, 90);
    const world = new PassingWorld(digestOf(small));
    const bad = upstream('bad', sampleBytes(2, 90));
    world.join(bad);
    await world.flow(bad);
    assertCut(world.clients[0] as PassedClient);
    assert.equal(bad.attempts.length, 3);
    world.assertNothingLeft();
  });

  it('is not stopped by an empty one, nor by one of unknown size', async () => {
    const empty = new PassingWorld(digestOf(Buffer.alloc(0)));
    empty.join(upstream('a', new Uint8Array()));
    await empty.flow([]);
    assert.equal(empty.clients[0]?.outcome, 'complete');
    empty.assertNothingLeft();
    for (const told of [size, null]) {
      const [world, source] = [new PassingWorld(digest), upstream()];
      world.join(source, { sizeBytes: undefined });
      const sized = world.clients[0]?.reader.whenSized(new AbortController().signal);
      await world.quiet();
      source.asking[0]?.answer({ sizeBytes: told });
      await world.quiet();
      source.awaited[0]?.deliver(500);
      assert.equal(await sized, told ?? undefined);
      await world.flow(source);
      assertWhole(world.clients[0] as PassedClient);
      world.assertNothingLeft();
    }
  });

  it('has the size that was told, or is cut', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    world.join(source, { sizeBytes: size + 1 });
    for (let turn = 0; turn < 10; turn++) {
      await world.flow(source);
      world.clock.advance(10_000);
    }
    assertCut(world.clients[0] as PassedClient);
    world.assertNothingLeft();
  });

  it('is taken from a source without ranges from its beginning, what is there being dropped', async () => {
    const [world, a, b] = [new PassingWorld(digest), upstream('a'), upstream('b')];
    world.join([a, b]);
    await world.quiet();
    a.asking[0]?.answer();
    await world.quiet();
    a.awaited[0]?.deliver(3000);
    await world.quiet();
    a.awaited[0]?.cut();
    await world.quiet();
    world.clock.advance(200);
    await world.quiet();
    b.asking[0]?.answer({ ignoreRange: true });
    await world.flow(b);
    assertWhole(world.clients[0] as PassedClient);
    world.assertNothingLeft();
  });

  it('tells everybody the cause when no source has it', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    for (let n = 0; n < 3; n++) world.join(source);
    await world.quiet();
    source.asking[0]?.refuse(new AppError('UPSTREAM_DENIED', 'not for you'));
    for (const client of world.clients) client.read(1);
    await world.quiet();
    for (const client of world.clients) assertCut(client, 'UPSTREAM_DENIED');
    assert.equal(world.events.at(-1)?.event, 'failed');
    assert.equal(world.table.ended()[0]?.state, 'failed');
    world.assertNothingLeft();
  });

  it('takes no longer than the deadline, but a client may take as long as it likes', async () => {
    const options = { deadlineMs: 30_000, stallTimeoutMs: 100_000 };
    const [world, source] = [new PassingWorld(digest, options), upstream()];
    const client = world.join(source);
    client.isGreedy = false;
    await world.quiet();
    source.asking[0]?.answer();
    await world.quiet();
    for (let bytes = 0; bytes < 3200; bytes += 100) {
      source.awaited[0]?.deliver(100);
      await world.quiet();
    }
    for (let hour = 0; hour < 3; hour++) {
      world.clock.advance(3_600_000);
      client.read(1000);
      await world.flow(source);
    }
    assertWhole(client);

    const late = new PassingWorld(digest, options);
    late.join(source);
    for (let second = 0; second < 30; second++) {
      await late.quiet();
      source.asking[0]?.answer();
      late.clients[0]?.read(100);
      source.awaited[0]?.deliver(100);
      late.clock.advance(1000);
    }
    await late.quiet();
    assertCut(late.clients[0] as PassedClient, 'PULL_DEADLINE');
    late.assertNothingLeft();
  });

  it('is over at once when all have left, whatever they were waiting for', async () => {
    for (const stage of ['asking', 'reading', 'resting', 'full'] as const) {
      const [world, source] = [new PassingWorld(digest), upstream()];
      for (let n = 0; n < 3; n++) world.join(source).isGreedy = stage !== 'full';
      for (const client of world.clients) client.read(10);
      await world.quiet();
      if (stage === 'resting') source.asking[0]?.refuse(new AppError('UPSTREAM_FAILED', 'later'));
      if (stage !== 'asking') source.asking[0]?.answer();
      await world.quiet();
      if (stage === 'full') source.awaited[0]?.deliver(5000);
      await world.quiet();
      for (const client of world.clients) client.leave();
      world.assertNothingLeft();
      await world.quiet();
      assert.equal(world.events.at(-1)?.event, 'parked');
      assert.ok(source.attempts.every(({ isOver }) => isOver));
    }
  });

  it('leaves those alone who stay when others leave', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    for (let n = 0; n < 4; n++) world.join(source);
    await world.quiet();
    source.asking[0]?.answer();
    await world.quiet();
    source.awaited[0]?.deliver(900);
    await world.quiet();
    world.clients[0]?.leave();
    world.clients[2]?.leave();
    await world.flow(source);
    assertWhole(world.clients[1] as PassedClient);
    assertWhole(world.clients[3] as PassedClient);
    assert.equal(source.attempts.length, 1);
    world.assertNothingLeft();
  });

  it('ends for all with the process, told so', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    for (let n = 0; n < 3; n++) world.join(source).read(10);
    await world.quiet();
    await world.table[Symbol.asyncDispose]();
    await world.quiet();
    for (const client of world.clients) assertCut(client, 'SHUTTING_DOWN');
    world.assertNothingLeft();
    assert.throws(() => world.join(source), { code: 'SHUTTING_DOWN' });
  });
});

describe('a part of a blob that is passed', () => {
  it('is fetched alone where it ends before what is held back', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const client = world.join(source, { range: { start: 20_000, end: 25_000 } });
    await world.flow(source);
    assertWhole(client, 20_000, 25_000);
    assert.ok(bytesSent(source) <= 5000 + 3200, `sent ${bytesSent(source)}`);
    world.assertNothingLeft();
  });

  it('that reaches the end is handed out only where all of the blob is right', async () => {
    for (const range of [
      { start: 39_990, end: size },
      { start: 10_000, end: size },
      { start: 0, end: size },
    ]) {
      const [world, good] = [new PassingWorld(digest), upstream()];
      const client = world.join(good, { range });
      await world.flow(good);
      assertWhole(client, range.start, size);
      world.assertNothingLeft();

      const wrong = Buffer.from(content);
      wrong[5] = (wrong[5] ?? 0) ^ 1;
      const [other, bad] = [new PassingWorld(digest), upstream('bad', wrong)];
      const cut = other.join(bad, { range });
      await other.flow(bad);
      assertCut(cut);
      other.assertNothingLeft();
    }
  });

  it('does not drag along those who take the whole', async () => {
    const [world, source] = [new PassingWorld(digest), upstream()];
    const whole = world.join(source);
    whole.isGreedy = false;
    const part = world.join(source, { range: { start: 39_000, end: size } });
    await world.flow(source);
    assertWhole(part, 39_000, size);
    assertWhole(whole);
    assert.equal(bytesSent(source), 2 * size);
    world.assertNothingLeft();
  });
});

describe('a reader that has had some of a blob elsewhere', () => {
  it('goes on where it was, and completes only if the whole is right', async () => {
    for (const isRight of [true, false]) {
      const [world, source] = [new PassingWorld(digest), upstream()];
      const handed = Buffer.from(content.subarray(0, 7000));
      if (!isRight) handed[100] = (handed[100] ?? 0) ^ 1;
      const client = world.join(source, { handed });
      await world.flow(source);
      if (isRight) assert.ok(client.bytes.equals(content.subarray(7000)));
      if (isRight) assert.equal(client.outcome, 'complete');
      else assertCut(client);
      assert.equal(source.attempts[0]?.start, 7000);
      world.assertNothingLeft();
    }
  });

  it('of a part up to the end runs over the blob, and compares what it has had', async () => {
    const range = { start: 5000, end: size };
    for (const isRight of [true, false]) {
      const [world, source] = [new PassingWorld(digest), upstream()];
      const handed = Buffer.from(content.subarray(5000, 7000));
      if (!isRight) handed[100] = (handed[100] ?? 0) ^ 1;
      const client = world.join(source, { range, handed });
      await world.flow(source);
      if (isRight) assert.ok(client.bytes.equals(content.subarray(7000)));
      if (isRight) assert.equal(client.outcome, 'complete');
      else assertCut(client);
      if (!isRight) assert.equal(client.received.length, 0);
      world.assertNothingLeft();
    }
  });
});
