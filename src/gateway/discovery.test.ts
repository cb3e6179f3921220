import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { ask, askBoth } from './testing/test-client.ts';
import { TestGateway } from './testing/test-gateway.ts';

const digest = digestOf(Buffer.from('some manifest'));

describe('tags, referrers and the catalog', () => {
  const list = `/v2/prefix/a/tags/list`;

  it('passes tags through, and a next page as a link to ourselves', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.list = { ...gateway.depot.list, nextQuery: 'n=1&last=x>y&ns=elsewhere' };
    const answer = await askBoth(gateway.port, `${list}?n=1&last=w&ns=ghcr.io`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.equal(answer.headers['cache-control'], 'no-cache');
    assert.equal(answer.headers.link, `<${list}?n=1&last=x%3Ey&ns=ghcr.io>; rel="next"`);
    const [request] = gateway.depot.tagsRequests;
    assert.deepEqual([request?.query, request?.scope.registry], ['n=1&last=w', 'ghcr.io']);
  });

  it('hands the tokens that upstream pages with back to it', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.list = { ...gateway.depot.list, nextQuery: 'n=2&next_page=gAA+/%3D%3D' };
    const first = await ask(gateway.port, `${list}?n=2`);
    const next = '?n=2&next_page=gAA%2B/%3D%3D';
    assert.equal(first.headers.link, `<${list}${next}>; rel="next"`);
    await ask(gateway.port, `${list}${next}`);
    assert.equal(gateway.depot.tagsRequests[1]?.query, next.slice(1));
    const referrers = `/v2/a/referrers/${digest}`;
    assert.equal((await ask(gateway.port, referrers)).headers.link, `<${referrers}${next}>; rel="next"`);
  });

  it('bounds what goes on to upstream, in both directions', async () => {
    await using gateway = await TestGateway.start();
    const long = `last=${'x'.repeat(2100)}`;
    assert.equal((await ask(gateway.port, `${list}?${long}`)).status, 400);
    gateway.depot.list = { ...gateway.depot.list, nextQuery: long };
    assert.equal((await ask(gateway.port, list)).headers.link, undefined);
  });

  it('passes referrers through with the filter that was applied', async () => {
    await using gateway = await TestGateway.start();
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    gateway.depot.list = { ...gateway.depot.list, mediaType, filtersApplied: 'artifactType' };
    const answer = await askBoth(gateway.port, `/v2/a/referrers/${digest}?artifactType=application/vnd.x%2Bjson`);
    assert.equal(answer.headers['content-type'], mediaType);
    assert.equal(answer.headers['oci-filters-applied'], 'artifactType');
    assert.equal(gateway.depot.referrersRequests[0]?.artifactType, 'application/vnd.x+json');
  });

  it('lists the repositories in pages', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.names = ['a', 'b/c', 'd'];
    const first = await askBoth(gateway.port, '/v2/_catalog?n=2');
    assert.deepEqual(JSON.parse(first.body.toString()), { repositories: ['a', 'b/c'] });
    assert.equal(first.headers.link, '</v2/_catalog?n=2&last=b%2Fc>; rel="next"');
    const second = await askBoth(gateway.port, '/v2/_catalog?n=2&last=b%2Fc');
    assert.deepEqual(JSON.parse(second.body.toString()), { repositories: ['d'] });
    assert.equal(second.headers.link, undefined);
    const none = await askBoth(gateway.port, '/v2/_catalog?n=0');
    assert.deepEqual(JSON.parse(none.body.toString()), { repositories: [] });
  });
});
