import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { untilUp } from '../support/loopback.ts';
import { assertKept, assertWhole, errorIn, inWorld, told } from './world.ts';

const repository = 'org/app';
const image = buildImage({ seed: 'overload', layerSizes: [600_000, 700_000, 800_000] });
const [first, second, third] = image.layers as [Content, Content, Content];

test('one flight more than there may be is 503 with Retry-After; those under way go on and can be joined', () =>
  inWorld({ pull: { maxFlights: 2 } }, async (world) => {
    const { registry, client } = world;
    registry.content.add(repository, image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const holds = [first, second].map(({ digest }) => registry.hold(digest, 100_000));
    const running = [first, second].map(({ digest }) => client.blob(repository, digest));
    await Promise.all(holds.map(({ reached }) => reached));
    const refused = await client.blob(repository, third.digest);
    assert.equal(told(refused), '503 UNAVAILABLE');
    assert.match(errorIn(refused).retryAfter ?? '', /^[1-9]\d*$/);
    const joined = world.crowd(4).map((each) => each.blob(repository, first.digest));
    for (const hold of holds) hold.release();
    const [one, two] = await Promise.all(running);
    if (one !== undefined && two !== undefined) {
      assertWhole(one, first);
      assertWhole(two, second);
    }
    for (const download of await Promise.all(joined)) assertWhole(download, first);
    await world.landed();
    assertWhole(await client.blob(repository, third.digest), third);
    await assertKept(world, third);
  }));

test('one connection more than there may be is 503 with Retry-After; pulls under way go on', () =>
  inWorld({ server: { maxConnections: 4 } }, async (world) => {
    const { registry } = world;
    registry.content.add(repository, image, 'v1');
    const clients = world.crowd(4);
    for (const client of clients) assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const hold = registry.hold(first.digest, 100_000);
    const running = clients.map((client) => client.blob(repository, first.digest));
    await hold.reached;
    const refused = await Promise.all(world.crowd(8).map((client) => client.blob(repository, first.digest)));
    for (const download of refused) {
      assert.equal(told(download), '503 UNAVAILABLE');
      assert.match(errorIn(download).retryAfter ?? '', /^[1-9]\d*$/);
    }
    hold.release();
    for (const download of await Promise.all(running)) assertWhole(download, first);
    for (const client of clients) await client[Symbol.asyncDispose]();
    await untilUp(async () => {
      const download = await world.crowd(1)[0]?.blob(repository, first.digest);
      return download?.status === 200;
    }, 'a place for a new connection');
  }));
