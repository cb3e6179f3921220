import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { digestOf, hexOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import { ociIndex } from '../core/media-types.ts';
import { PullWorld } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const freshMs = 10_000;
const { digest } = testImage(1).manifest;

describe('lists', () => {
  let world: PullWorld;

  beforeEach(() => {
    world = new PullWorld();
  });

  afterEach(() => world[Symbol.asyncDispose]());

  const tags = (query = '') => world.soon(world.depot.tags({ scope: world.scope(), query }, world.never));
  const referrers = (artifactType?: string) => {
    const query = artifactType === undefined ? '' : `artifactType=${artifactType}`;
    return world.soon(world.depot.referrers({ scope: world.scope(), digest, query, artifactType }, world.never));
  };
  const parsed = (body: Uint8Array) => JSON.parse(Buffer.from(body).toString());

  /** The index under the tag that stands for referrers where upstream has no API for them. */
  function pushReferrers(bytes: Buffer): void {
    const manifest = { digest: digestOf(bytes), mediaType: ociIndex, bytes };
    world.hub.pushManifest('library/app', `sha256-${hexOf(digest)}`, manifest);
  }

  it('are asked for once for all who ask at once, and taken as true for seconds', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => tags()));
    assert.ok(answers.every(({ body }) => body === world.hub.tagsAnswer.body));
    world.clock.advance(freshMs - 1);
    assert.equal((await tags()).served, 'hit');
    assert.equal(world.hub.calls.length, 1);
    world.clock.advance(1);
    assert.equal((await tags()).served, 'led');
    assert.equal(world.hub.calls.length, 2);
    world.assertNothingLeft();
  });

  it('go by pages in terms of upstream, each on its own', async () => {
    world.hub.tagsAnswer = { ...world.hub.tagsAnswer, nextQuery: 'n=2&next_page=gAAA%3D' };
    const first = await tags('n=2');
    assert.equal(first.nextQuery, 'n=2&next_page=gAAA%3D');
    await tags(first.nextQuery);
    assert.deepEqual(world.hub.queries, ['n=2', 'n=2&next_page=gAAA%3D']);
  });

  it('are served stale when upstream does not answer, not when it refuses', async () => {
    await tags();
    world.clock.advance(freshMs);
    world.hub.before = () => {
      throw new AppError('UPSTREAM_UNREACHABLE', 'down');
    };
    assert.equal((await tags()).served, 'stale');
    world.clock.advance(1000);
    world.hub.before = () => {
      throw new AppError('UPSTREAM_DENIED', 'no more');
    };
    // What was tried in vain beside the stale answer comes to its end.
    await tags().catch(() => {});
    await assert.rejects(tags(), { code: 'UPSTREAM_DENIED' });
  });

  it('of referrers are passed through with the filter that upstream applied', async () => {
    const body = Buffer.from('{"manifests":[]}');
    world.hub.referrersAnswer = { body, mediaType: ociIndex, nextQuery: undefined, filtersApplied: 'artifactType' };
    const answer = await referrers('a/b');
    assert.deepEqual([answer.body, answer.filtersApplied], [body, 'artifactType']);
    assert.deepEqual(world.hub.queries, ['artifactType=a/b']);
  });

  it('of referrers come from a tag where upstream lacks the API, filtered here', async () => {
    const manifests = [{ artifactType: 'a/b', digest: 'x' }, { artifactType: 'c/d', digest: 'y' }, null];
    pushReferrers(Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })));
    const all = await referrers();
    assert.deepEqual([parsed(all.body).manifests, all.filtersApplied], [manifests, undefined]);
    const some = await referrers('a/b');
    assert.deepEqual([parsed(some.body).manifests, some.filtersApplied], [[manifests[0]], 'artifactType']);
    assert.equal(some.mediaType, ociIndex);
  });

  it('of referrers are empty where there are none', async () => {
    assert.deepEqual(parsed((await referrers()).body).manifests, []);
  });

  it('of referrers that are no index at all are upstream’s fault', async () => {
    pushReferrers(Buffer.from('not JSON'));
    await assert.rejects(referrers(), { code: 'UPSTREAM_INVALID' });
    world.clock.advance(5000);
    pushReferrers(Buffer.from('null'));
    assert.deepEqual(parsed((await referrers()).body).manifests, []);
  });
});
