import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { dockerManifest, ociManifest } from '../core/media-types.ts';
import type { RetryEvent } from '../telemetry/channels.ts';
import { headerTimeoutMs, PullWorld, tagTtlMs } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const old = testImage(1);
const recent = testImage(2);

/** An upstream whose gate refuses what begins with one of `whats` for so long. Notes what really went out to it. */
function limit(world: PullWorld, forMs: number, ...whats: string[]): { sent: string[] } {
  const untilMs = world.clock.monotonic() + forMs;
  const sent: string[] = [];
  world.hub.before = (call) => {
    const retryAfterMs = untilMs - world.clock.monotonic();
    if (retryAfterMs > 0 && whats.some((what) => call.startsWith(what))) {
      throw new AppError('UPSTREAM_RATE_LIMITED', 'the hub limits us', { retryAfterMs });
    }
    sent.push(call);
  };
  return { sent };
}

/** A world that knows what `latest` was, and has to ask again. */
async function worldThatKnows(): Promise<PullWorld> {
  const world = new PullWorld();
  world.hub.push('library/app', 'latest', old);
  await world.manifest('latest');
  world.clock.advance(tagTtlMs);
  return world;
}

describe('while upstream limits us', () => {
  it('a known tag is served stale at once where HEADs are limited, too', async () => {
    await using world = await worldThatKnows();
    const { sent } = limit(world, 3_600_000, 'GET manifest', 'HEAD manifest');
    const sinceMs = world.clock.monotonic();
    const { served, digest } = await world.manifest('latest');
    assert.deepEqual([served, digest], ['stale', old.manifest.digest]);
    assert.equal(world.clock.monotonic(), sinceMs);
    assert.deepEqual(sent, []);
    world.assertNothingLeft();
  });

  it('a known tag is revalidated where HEADs are free', async () => {
    await using world = await worldThatKnows();
    const { sent } = limit(world, 3_600_000, 'GET manifest');
    assert.equal((await world.manifest('latest')).served, 'revalidated');
    assert.deepEqual(sent, ['HEAD manifest library/app latest']);
  });

  it('a known tag that moved is served stale at once, and what is new is there after the rest for one request', async () => {
    await using world = await worldThatKnows();
    world.hub.push('library/app', 'latest', recent);
    const { sent } = limit(world, 10_000, 'GET manifest');
    const sinceMs = world.clock.monotonic();
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.manifest('latest')));
    for (const { served, digest } of answers) assert.deepEqual([served, digest], ['stale', old.manifest.digest]);
    assert.equal((await world.manifest('latest')).digest, old.manifest.digest, 'who comes later waits no longer');
    assert.equal(world.clock.monotonic(), sinceMs);
    await world.later(10_000);
    const { served, digest } = await world.manifest('latest');
    assert.deepEqual([served, digest], ['hit', recent.manifest.digest]);
    assert.equal(sent.filter((call) => call.startsWith('GET')).length, 1);
    world.assertNothingLeft();
  });

  it('a known tag that moved is served stale at once where the rest is beyond the bound, and asked for again later', async () => {
    await using world = await worldThatKnows();
    world.hub.push('library/app', 'latest', recent);
    limit(world, 100_000, 'GET manifest');
    assert.equal((await world.manifest('latest')).served, 'stale');
    world.assertNothingLeft();
    await world.later(100_000);
    const { served, digest } = await world.manifest('latest');
    assert.deepEqual([served, digest], ['revalidated', recent.manifest.digest]);
  });

  it('a tag that other clients know is served to who accepts the same, without waiting for the rest', async () => {
    await using world = await worldThatKnows();
    limit(world, 10_000, 'GET manifest');
    const sinceMs = world.clock.monotonic();
    const { served, digest } = await world.manifest('latest', { accept: `${ociManifest}, ${dockerManifest}` });
    assert.deepEqual([served, digest], ['stale', old.manifest.digest]);
    assert.equal(world.clock.monotonic(), sinceMs);
    await world.later(10_000);
    world.assertNothingLeft();
  });

  it('who waits for what is not known gets it after the rest, all by one request', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', old);
    const { sent } = limit(world, 15_000, 'GET manifest');
    const retries: RetryEvent[] = [];
    world.channels.retry.subscribe((event) => retries.push(event));
    const waiting = Promise.all(Array.from({ length: 20 }, () => world.manifest('latest')));
    await world.later(7000);
    const late = world.manifest('latest');
    const answers = [...(await world.soon(waiting)), await world.soon(late)];
    for (const { digest } of answers) assert.equal(digest, old.manifest.digest);
    assert.deepEqual(sent, ['GET manifest library/app latest']);
    assert.deepEqual(retries, [
      { upstream: 'docker.io', kind: 'manifest', cause: 'UPSTREAM_RATE_LIMITED', failover: false },
    ]);
    world.assertNothingLeft();
  });

  it('who cannot wait for the end of the rest is told at once how long it takes', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', old);
    const { sent } = limit(world, 40_000, 'GET manifest');
    await assert.rejects(world.manifest('latest'), { code: 'UPSTREAM_RATE_LIMITED', retryAfterMs: 40_000 });
    assert.equal(world.clock.monotonic(), 0);
    await world.later(600);
    await assert.rejects(world.manifest('latest'), { retryAfterMs: 39_400 });
    await world.later(9400);
    await assert.rejects(world.manifest('latest'), { retryAfterMs: 30_000 });
    assert.deepEqual(sent, []);
    world.assertNothingLeft();
  });

  it('who comes so late that the rest ends within their own bound waits, though others could not', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', old);
    limit(world, 40_000, 'GET manifest');
    await assert.rejects(world.manifest('latest'), { code: 'UPSTREAM_RATE_LIMITED' });
    await world.later(20_000);
    assert.equal((await world.soon(world.manifest('latest'), headerTimeoutMs)).digest, old.manifest.digest);
  });

  it('the end of the rest is noticed at once', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', old);
    limit(world, 100, 'GET manifest', 'HEAD manifest');
    const waiting = world.manifest('latest', { method: 'HEAD' });
    await world.quiet();
    await world.later(100);
    assert.equal((await world.soon(waiting)).digest, old.manifest.digest);
    assert.equal(world.clock.monotonic(), 100);
  });

  it('a manifest by digest waits, or is refused, by the same rules', async () => {
    await using world = new PullWorld();
    world.hub.push('library/app', 'latest', old);
    limit(world, 40_000, 'GET manifest');
    await assert.rejects(world.manifest(old.manifest.digest), { retryAfterMs: 40_000 });
    await world.later(20_000);
    const { sent } = limit(world, 20_000, 'GET manifest');
    const waiting = Promise.all([world.manifest(old.manifest.digest), world.manifest(old.manifest.digest)]);
    for (const { digest } of await world.soon(waiting)) assert.equal(digest, old.manifest.digest);
    assert.equal(sent.length, 1);
  });

  it('a known list is served stale at once, and is new after the rest', async () => {
    await using world = new PullWorld();
    const tags = () => world.depot.tags({ scope: world.scope(), query: '' }, world.never);
    await tags();
    await world.later(10_000);
    const { sent } = limit(world, 5000, 'GET tags');
    const sinceMs = world.clock.monotonic();
    assert.equal((await tags()).served, 'stale');
    assert.equal(world.clock.monotonic(), sinceMs);
    await world.later(5000);
    assert.equal((await tags()).served, 'hit');
    assert.equal(sent.length, 1);
    world.assertNothingLeft();
  });

  it('a list that is not known waits for a rest within the bound', async () => {
    await using world = new PullWorld();
    limit(world, 5000, 'GET tags');
    const list = world.depot.tags({ scope: world.scope(), query: '' }, world.never);
    assert.equal((await world.soon(list)).served, 'led');
  });
});
