import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { assertWhole, inWorld, told, type World } from './world.ts';

const repository = 'org/app';
const sizeBytes = 3_000_000;
const image = buildImage({ seed: 'outages', layerSizes: [sizeBytes, 50_000] });
const layer = image.layers[0] as Content;
const other = image.layers[1] as Content;
/** With the pauses between them they take longer than headers are waited for: three quarters of 3.6 s. */
const failuresInRow = 6;

const failures = ({ flightEvents }: World) => flightEvents.filter(({ event }) => event === 'source-failed').length;

/** Requests to upstream so far, but for probes, which come by themselves. */
async function asked({ admin }: World): Promise<number> {
  const [all, probes] = await Promise.all([
    admin.metric('onepull_upstream_requests_total'),
    admin.metric('onepull_upstream_requests_total', { kind: 'ping' }),
  ]);
  return all - probes;
}

interface Shown {
  readonly upstreams: readonly { readonly endpoints: readonly { readonly standing: string }[] }[];
}

async function standing({ admin }: World): Promise<string | undefined> {
  const { upstreams } = (await admin.json('/api/v1/upstreams')) as Shown;
  return upstreams[0]?.endpoints[0]?.standing;
}

async function warnings({ admin }: World): Promise<readonly string[]> {
  const answer = (await admin.json('/readyz')) as { status: string; warnings?: string[] };
  assert.equal(answer.status, 'ready');
  return answer.warnings ?? [];
}

test('an upstream that goes away in the midst of a body, for longer than anybody waits for headers: no client is cut, and no byte comes twice', () =>
  inWorld({ pull: { headerTimeout: '4s' } }, async (world) => {
    const { registry, client } = world;
    registry.content.add(repository, image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    const hold = registry.hold(layer.digest, 1_000_000);
    const bodies = [client, ...world.crowd(8)].map((each) => each.blob(repository, layer.digest));
    await hold.reached;
    await registry.goAway();
    hold.release();
    await world.until(() => failures(world) >= failuresInRow);
    await registry.comeBack();
    for (const body of await Promise.all(bodies)) assertWhole(body, layer);
    assert.ok(registry.tally.bytesSent(layer.digest) <= sizeBytes * 1.02);
  }));

test('an upstream that is known to be away is asked once for each request, which fails at once; it is shown, and used as soon as it is back', () =>
  inWorld({ upstream: { tagTtl: '0s' } }, async (world) => {
    const { registry, client, admin } = world;
    registry.content.add(repository, image, 'v1');
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    assert.deepEqual([await standing(world), await warnings(world)], ['sound', []]);
    await registry.goAway();
    // The first one finds out.
    assert.equal((await client.manifest(repository, 'none-0')).status, 502);
    assert.equal(await standing(world), 'failing');
    assert.match((await warnings(world)).join(), /demo\.example fails, what is not here cannot be had: .*refused/);
    assert.equal(await admin.metric('onepull_breaker_open'), 1);
    for (let n = 1; n <= 5; n++) {
      const before = await asked(world);
      assert.equal((await client.manifest(repository, `none-${n}`)).status, 502);
      assert.equal(await asked(world), before + 1);
    }
    const before = await asked(world);
    const refused = await client.blob(repository, other.digest);
    assert.equal(told(refused), '502 UNAVAILABLE');
    assert.equal(await asked(world), before + 1);
    // What is known is given, for one question at the most.
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    assert.ok((await asked(world)) <= before + 2);
    await registry.comeBack();
    assert.equal((await client.manifest(repository, 'v1')).status, 200);
    await admin.until(
      () => standing(world),
      (now) => now === 'sound',
    );
    assertWhole((await world.crowd(1)[0]?.blob(repository, layer.digest)) ?? refused, layer);
    assert.deepEqual([await warnings(world), await admin.metric('onepull_breaker_open')], [[], 0]);
  }));
