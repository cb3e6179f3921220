import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { retryDefaults, retryPolicy } from '../../routing/retry-policy.ts';
import { sampleBytes } from '../../store/testing/sample-content.ts';
import { ScriptedSource } from '../testing/scripted-source.ts';
import { type PassedClient, PassingWorld, testOptions } from './testing/passing-world.ts';

const content = sampleBytes(1, 40_000);
const digest = digestOf(content);

const upstream = () => new ScriptedSource('a', content);

function assertWhole(client: PassedClient): void {
  assert.equal(client.outcome, 'complete');
  assert.ok(client.bytes.equals(content), 'wrong bytes');
}

describe('a blob that is passed while its source is away', () => {
  it('goes on although its source fails some times within seconds: those who wait can wait', async () => {
    const retry = retryPolicy(retryDefaults, () => 0.5);
    const [world, source] = [new PassingWorld(digest, {}, retry), upstream()];
    const client = world.join(source);
    await world.quiet();
    for (let failed = 0; failed < 8; failed++) {
      source.asking[0]?.refuse(new AppError('UPSTREAM_FAILED', 'out of order'));
      await world.quiet();
      world.clock.advance(world.clock.nextDueInMs ?? 0);
      await world.quiet();
    }
    assert.ok(world.clock.monotonic() < testOptions.headerPatienceMs);
    await world.flow(source);
    assertWhole(client);
    world.assertNothingLeft();
  });

  it('goes on for who has had bytes while its source is away for long, and tells who has had none after seconds', async () => {
    const retry = retryPolicy(retryDefaults, () => 0.5);
    const [world, source] = [new PassingWorld(digest, {}, retry), upstream()];
    const client = world.join(source);
    await world.quiet();
    source.asking[0]?.answer();
    await world.quiet();
    client.read(Number.POSITIVE_INFINITY);
    source.awaited[0]?.deliver(200);
    await world.quiet();
    client.read(Number.POSITIVE_INFINITY);
    assert.equal(client.received.length, 200);
    source.awaited[0]?.cut();
    const late = world.join(source, { range: { start: 300, end: 400 } });
    const isAway = async (untilMs: number) => {
      while (world.clock.monotonic() < untilMs) {
        await world.quiet();
        late.read(Number.POSITIVE_INFINITY);
        for (const attempt of source.asking) attempt.refuse(new AppError('UPSTREAM_UNREACHABLE', 'away'));
        await world.quiet();
        world.clock.advance(Math.min(world.clock.nextDueInMs ?? 500, untilMs - world.clock.monotonic()));
      }
    };
    await isAway(25_000);
    assert.equal(client.outcome, 'following');
    assert.ok(late.outcome instanceof AppError && late.outcome.code === 'UPSTREAM_UNREACHABLE', 'who has had nothing');
    while (source.asking.length === 0) {
      world.clock.advance(world.clock.nextDueInMs ?? 0);
      await world.quiet();
    }
    await world.flow(source);
    assertWhole(client);
    const cut = world.join(source);
    await world.quiet();
    source.asking[0]?.answer();
    await world.quiet();
    cut.read(Number.POSITIVE_INFINITY);
    source.awaited[0]?.deliver(200);
    await world.quiet();
    source.awaited[0]?.cut();
    await isAway(world.clock.monotonic() + 60_000);
    cut.read(Number.POSITIVE_INFINITY);
    assert.ok(cut.outcome instanceof AppError && cut.outcome.code === 'UPSTREAM_UNREACHABLE', 'not for ever');
    world.assertNothingLeft();
  });
});
