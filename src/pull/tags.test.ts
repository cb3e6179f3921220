import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError, asAppError, type ErrorCode } from '../core/errors.ts';
import { dockerManifest, ociIndex, ociManifest } from '../core/media-types.ts';
import { PullWorld, staleAfterMs, tagTtlMs } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const first = testImage(1);
const second = testImage(2);
const never = new Promise<never>(() => {});

describe('a tag', () => {
  let world: PullWorld;

  beforeEach(() => {
    world = new PullWorld();
    world.hub.push('library/app', 'latest', first);
  });

  afterEach(() => world[Symbol.asyncDispose]());

  /** It has been pulled, and its time is over. */
  async function known(): Promise<void> {
    await world.soon(world.manifest('latest'));
    world.clock.advance(tagTtlMs);
    world.hub.calls.length = 0;
  }

  const failing = (code: ErrorCode, status?: number) => () => {
    throw new AppError(code, 'test', { ...(status !== undefined && { status }) });
  };

  async function codes(asked: readonly Promise<unknown>[]): Promise<(ErrorCode | undefined)[]> {
    const outcomes = await world.soon(Promise.allSettled(asked));
    return outcomes.map((outcome) => (outcome.status === 'rejected' ? asAppError(outcome.reason).code : undefined));
  }

  it('is asked for once and taken as known for its time', async () => {
    const led = await world.soon(world.manifest('latest'));
    assert.equal(led.served, 'led');
    assert.deepEqual(led.bytes, first.manifest.bytes);
    assert.equal(led.mediaType, ociManifest);
    world.clock.advance(tagTtlMs - 1);
    const hit = await world.soon(world.manifest('latest'));
    assert.deepEqual([hit.served, hit.digest], ['hit', first.manifest.digest]);
    assert.deepEqual(world.hub.calls, ['GET manifest library/app latest']);
    world.assertNothingLeft();
  });

  it('is revalidated by HEAD then, and nothing is fetched while it points where it did', async () => {
    await known();
    const answer = await world.soon(world.manifest('latest'));
    assert.deepEqual([answer.served, answer.bytes], ['revalidated', first.manifest.bytes]);
    assert.deepEqual(world.hub.calls, ['HEAD manifest library/app latest']);
    world.clock.advance(tagTtlMs - 1);
    assert.equal((await world.soon(world.manifest('latest'))).served, 'hit');
  });

  it('asked for as it is now, is asked for however lately upstream said where it points', async () => {
    await world.soon(world.manifest('latest'));
    world.hub.calls.length = 0;
    const same = await world.soon(world.manifest('latest', { isFresh: true }));
    assert.deepEqual([same.served, same.digest], ['revalidated', first.manifest.digest]);
    assert.deepEqual(world.hub.calls, ['HEAD manifest library/app latest']);
    world.hub.push('library/app', 'latest', second);
    const now = await world.soon(world.manifest('latest', { isFresh: true }));
    assert.deepEqual([now.digest, now.bytes], [second.manifest.digest, second.manifest.bytes]);
    assert.equal((await world.soon(world.manifest('latest'))).digest, second.manifest.digest, 'and so it is for all');
    assert.equal(world.hub.count('HEAD manifest'), 2);
  });

  it('asked for as it is now, is asked for anew of who was told otherwise for other types', async () => {
    const docker = { accept: dockerManifest };
    await world.soon(world.manifest('latest', docker));
    world.hub.push('library/app', 'latest', second);
    const before = world.changes.value;
    await world.soon(world.manifest('latest', { isFresh: true }));
    assert.notEqual(world.changes.value, before, 'who remembers an answer is to ask');
    assert.equal((await world.soon(world.manifest('latest', docker))).digest, second.manifest.digest);
  });

  it('asked for as it is now, shares no answer that was asked for before', async () => {
    await known();
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const earlier = world.manifest('latest');
    await world.quiet();
    const now = world.manifest('latest', { isFresh: true });
    await world.quiet();
    assert.equal(world.hub.count('HEAD manifest'), 2);
    gate.resolve();
    await world.soon(Promise.all([earlier, now]));
    world.assertNothingLeft();
  });

  it('asked for as it is now, is what it was where upstream is away, and says so; a refusal is a refusal', async () => {
    await world.soon(world.manifest('latest'));
    world.hub.before = failing('UPSTREAM_UNREACHABLE');
    const stale = await world.soon(world.manifest('latest', { isFresh: true }));
    assert.deepEqual([stale.served, stale.digest], ['stale', first.manifest.digest]);
    world.clock.advance(60_000);
    world.hub.before = failing('UPSTREAM_DENIED', 403);
    assert.deepEqual(await codes([world.manifest('latest', { isFresh: true })]), ['UPSTREAM_DENIED']);
  });

  it('brings the new manifest once it has changed', async () => {
    await known();
    world.hub.push('library/app', 'latest', second);
    const answer = await world.soon(world.manifest('latest'));
    assert.deepEqual(answer.bytes, second.manifest.bytes);
    assert.equal(world.hub.count('GET'), 1);
    assert.equal((await world.soon(world.manifest('latest', { method: 'HEAD' }))).digest, second.manifest.digest);
  });

  it('is fetched again where upstream does not say its digest', async () => {
    world.hub.saysDigest = false;
    await known();
    world.hub.push('library/app', 'latest', second);
    assert.deepEqual((await world.soon(world.manifest('latest'))).bytes, second.manifest.bytes);
  });

  it('is looked up by HEAD for who only asks that, and the GET that follows brings it', async () => {
    const head = await world.soon(world.manifest('latest', { method: 'HEAD' }));
    assert.deepEqual(
      [head.digest, head.mediaType, head.sizeBytes],
      [first.manifest.digest, ociManifest, first.manifest.bytes.length],
    );
    assert.equal(head.bytes, undefined);
    assert.deepEqual((await world.soon(world.manifest('latest'))).bytes, first.manifest.bytes);
    const calls = ['HEAD manifest library/app latest', `GET manifest library/app ${first.manifest.digest}`];
    assert.deepEqual(world.hub.calls, calls);
  });

  it('costs one HEAD and one GET, however many ask at once', async () => {
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const heads = Array.from({ length: 256 }, () => world.manifest('latest', { method: 'HEAD' }));
    await world.quiet();
    gate.resolve();
    await world.soon(Promise.all(heads));
    const gets = await world.soon(Promise.all(Array.from({ length: 256 }, () => world.manifest('latest'))));
    assert.deepEqual([world.hub.count('HEAD'), world.hub.count('GET')], [1, 1]);
    assert.ok(gets.every(({ bytes }) => bytes === gets[0]?.bytes));
    assert.equal(world.coalesced.filter((kind) => kind === 'manifest').length, 2 * 255);
    world.assertNothingLeft();
  });

  it('is another one for clients that take other types', async () => {
    await world.soon(world.manifest('latest', { accept: ociManifest }));
    await world.soon(world.manifest('latest', { accept: dockerManifest }));
    assert.equal(world.hub.count('GET'), 2);
  });

  it('goes on being asked for when the one who asked first leaves', async () => {
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const leaving = new AbortController();
    const left = world.manifest('latest', { signal: leaving.signal });
    const stays = world.manifest('latest');
    await world.quiet();
    leaving.abort(new AppError('CANCELLED', 'left'));
    await assert.rejects(world.soon(left), { code: 'CANCELLED' });
    gate.resolve();
    assert.deepEqual((await world.soon(stays)).bytes, first.manifest.bytes);
    assert.equal(world.hub.calls.length, 1);
  });

  it('that was given up by all who waited for it leaves no unheard failure', async () => {
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const leaving = new AbortController();
    const left = [1, 2].map(() => world.manifest('latest', { signal: leaving.signal }));
    await world.quiet();
    leaving.abort(new AppError('CANCELLED', 'left'));
    assert.deepEqual(await codes(left), ['CANCELLED', 'CANCELLED']);
    gate.reject(new AppError('UPSTREAM_DENIED', 'test'));
    await world.quiet();
    await assert.rejects(world.soon(world.manifest('latest')), { code: 'UPSTREAM_DENIED' });
    world.assertNothingLeft();
  });

  for (const [why, code, status] of [
    ['down', 'UPSTREAM_UNREACHABLE', undefined],
    ['limiting us', 'UPSTREAM_RATE_LIMITED', undefined],
    ['broken', 'UPSTREAM_FAILED', 503],
    ['not speaking HTTP', 'UPSTREAM_INVALID', undefined],
  ] as const) {
    it(`is served stale while upstream is ${why}`, async () => {
      await known();
      world.hub.before = failing(code, status);
      const answer = await world.soon(world.manifest('latest'));
      assert.deepEqual([answer.served, answer.bytes], ['stale', first.manifest.bytes]);
      // The failure is remembered for a second: a crowd costs one question.
      await world.soon(Promise.all(Array.from({ length: 50 }, () => world.manifest('latest'))));
      assert.equal(world.hub.calls.length, 1);
      world.hub.before = () => {};
      world.clock.advance(code === 'UPSTREAM_INVALID' ? 5000 : 1000);
      assert.equal((await world.soon(world.manifest('latest'))).served, 'revalidated');
    });
  }

  for (const [why, code] of [
    ['gone', 'MANIFEST_UNKNOWN'],
    ['not for us without credentials', 'UPSTREAM_UNAUTHORIZED'],
    ['forbidden', 'UPSTREAM_DENIED'],
  ] as const) {
    it(`is not served stale when upstream says that it is ${why}`, async () => {
      await known();
      world.hub.before = failing(code);
      await assert.rejects(world.soon(world.manifest('latest')), { code });
      await assert.rejects(world.soon(world.manifest('latest')), { code });
      assert.equal(world.hub.calls.length, 1);
      world.hub.before = () => {};
      world.clock.advance(5000);
      assert.deepEqual((await world.soon(world.manifest('latest'))).bytes, first.manifest.bytes);
    });
  }

  it('is served stale to clients that take other types, where they take what it last was', async () => {
    await known();
    world.hub.before = failing('UPSTREAM_UNREACHABLE');
    const only = (mediaType: string) => world.soon(world.manifest('latest', { accept: mediaType }));
    const answer = await only(first.manifest.mediaType);
    assert.deepEqual([answer.served, answer.bytes], ['stale', first.manifest.bytes]);
    await assert.rejects(only(ociIndex), { code: 'UPSTREAM_UNREACHABLE' });
    world.hub.before = failing('UPSTREAM_DENIED');
    world.clock.advance(5000);
    await assert.rejects(only(first.manifest.mediaType), { code: 'UPSTREAM_DENIED' });
  });

  it('is served stale while upstream is slow, and revalidated in the background', async () => {
    await known();
    const gate = Promise.withResolvers<void>();
    world.hub.before = () => gate.promise;
    const asked = world.manifest('latest');
    await world.quiet();
    await world.later(staleAfterMs);
    assert.equal((await asked).served, 'stale');
    world.hub.push('library/app', 'latest', second);
    gate.resolve();
    await world.quiet();
    const next = await world.soon(world.manifest('latest'));
    assert.deepEqual([next.served, next.bytes], ['hit', second.manifest.bytes]);
    assert.equal(world.hub.count('HEAD'), 1);
    world.assertNothingLeft();
  });

  it('keeps nobody waiting twice for the same slow upstream', async () => {
    await known();
    world.hub.before = () => never;
    const asked = world.manifest('latest');
    await world.quiet();
    await world.later(staleAfterMs - 1000);
    const joining = world.manifest('latest');
    await world.later(1000);
    assert.deepEqual([(await asked).served, (await joining).served], ['stale', 'stale']);
    assert.equal((await world.soon(world.manifest('latest'), staleAfterMs / 10)).served, 'stale');
    assert.equal(world.hub.calls.length, 1);
  });

  it('is served stale where the new manifest cannot be had, and not forgotten', async () => {
    await known();
    world.hub.push('library/app', 'latest', second);
    world.hub.before = (call) => {
      if (call.startsWith('GET')) throw new AppError('UPSTREAM_RATE_LIMITED', 'GETs are limited, HEADs are not');
    };
    for (const method of ['HEAD', 'GET'] as const) {
      const answer = await world.soon(world.manifest('latest', { method }));
      assert.deepEqual([answer.served, answer.digest], ['stale', first.manifest.digest], method);
    }
    // What is tried in vain beside the stale answers comes to its end.
    for (let turn = 0; turn < 10; turn++) await world.later(5000);
    world.hub.before = () => {};
    world.clock.advance(tagTtlMs);
    assert.equal((await world.soon(world.manifest('latest'))).digest, second.manifest.digest);
  });

  it('is asked for again when the clock was set back', async () => {
    await known();
    const [scope, variant] = [world.scope(), '1111'];
    const record = world.catalog.tag(scope, 'latest', variant);
    assert.ok(record);
    world.catalog.setTag(scope, 'latest', variant, { ...record, checkedAtMs: world.clock.now() + 3_600_000 });
    assert.equal((await world.soon(world.manifest('latest'))).served, 'revalidated');
  });

  it('that is unknown fails as upstream says, once for all who ask at once', async () => {
    const asked = Array.from({ length: 20 }, () => world.manifest('missing'));
    assert.deepEqual(new Set(await codes(asked)), new Set(['MANIFEST_UNKNOWN']));
    assert.equal(world.hub.calls.length, 1);
    world.hub.push('library/app', 'missing', second);
    world.clock.advance(5000);
    assert.equal((await world.soon(world.manifest('missing'))).digest, second.manifest.digest);
  });

  it('whose bytes are not those of the digest that upstream names is not kept', async () => {
    world.hub.pushManifest('library/app', 'wrong', { ...second.manifest, digest: first.manifest.digest });
    await assert.rejects(world.soon(world.manifest('wrong')), { code: 'CONTENT_MISMATCH' });
    assert.equal(await world.store.sizeOf(second.manifest.digest), undefined);
    assert.equal(await world.store.sizeOf(first.manifest.digest), undefined);
  });

  it('that nobody answers for is told so within the bound', async () => {
    world.hub.before = () => never;
    const startMs = world.clock.monotonic();
    await assert.rejects(world.soon(world.manifest('latest')), { code: 'UPSTREAM_TIMEOUT', status: 504 });
    assert.ok(world.clock.monotonic() - startMs <= 25_000);
    world.assertNothingLeft();
  });
});
