import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { newSpanId, newTraceId } from '../../src/core/tracing.ts';
import { PullClient } from '../support/client.ts';
import { needs } from '../support/need.ts';
import { attributeOf, TraceCollector } from '../support/trace-collector.ts';
import { inCluster, untilAllAreHeard } from './cluster-scene.ts';

const image = buildImage({ seed: 'traces', layerSizes: [2_000_000] });
const [layer] = image.layers as [Content];

test('a trace goes on at the node that is read from', { skip: needs('redis-server') }, async () => {
  await using collector = await TraceCollector.start();
  const traceId = newTraceId();
  const tracing = { endpoint: collector.url, sampleOneIn: 1_000_000 };
  await inCluster({ nodes: 2, configuration: () => ({ tracing }) }, async ({ registry, nodes }) => {
    registry.content.add('org/app', image, 'v1');
    await untilAllAreHeard(nodes);
    const [first, second] = nodes;
    assert.ok(first && second);
    await using leader = new PullClient(first.url);
    await leader.manifest('org/app', 'v1');
    assert.equal((await leader.blob('org/app', layer.digest)).outcome, 'complete');
    await first.assertIdle();
    await using follower = new PullClient(second.url, {
      headers: { traceparent: `00-${traceId}-${newSpanId()}-01` },
    });
    await follower.manifest('org/app', 'v1');
    assert.equal((await follower.blob('org/app', layer.digest)).outcome, 'complete');
  });
  assert.ok(collector.spans.every((span) => span.traceId === traceId));
  const names = new Set(collector.resources.map((resource) => resource['service.instance.id']));
  assert.ok([...names].every((name) => /^node-\d$/.test(String(name))) && names.size === 2, [...names].join());
  const [flight] = collector.named('flight');
  const asked = collector.spans.find(({ parentSpanId }) => parentSpanId === flight?.spanId);
  assert.equal(asked?.kind, 3);
  const answered = collector.named('peer').filter(({ parentSpanId }) => parentSpanId === asked?.spanId);
  assert.equal(answered.length, 1);
  const [peer] = answered;
  assert.ok(peer && String(attributeOf(peer, 'url.path')).includes(layer.digest));
  assert.equal(Number(attributeOf(peer, 'http.response.status_code')), 200);
});
