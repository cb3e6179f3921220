import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ociIndex } from '../core/media-types.ts';
import { failure, makeClient, never, repository, someDigest } from './testing/test-client.ts';
import { answer, TestServer } from './testing/test-server.ts';

const json = { 'content-type': 'application/json' };

describe('tags', () => {
  it('are passed on with the next page’s query', async () => {
    const body = '{"name":"library/app","tags":["a"]}';
    await using server = await TestServer.start((_, response) => {
      answer(response, 200, { ...json, link: '</v2/library/app/tags/list?n=1&last=a>; rel="next"' }, body);
    });
    const { client } = makeClient(server.url);
    await using _ = client;
    const list = await client.listTags(repository, 'n=1&last=x%2Fy&next_page=gA%3D', never);
    assert.deepEqual(list, { body: Buffer.from(body), mediaType: 'application/json', nextQuery: 'n=1&last=a' });
    assert.equal(server.requests[0]?.url, '/v2/library/app/tags/list?n=1&last=x%2Fy&next_page=gA%3D');
    await client.listTags(repository, '', never);
    assert.equal(server.requests[1]?.url, '/v2/library/app/tags/list');
  });

  it('of an unknown repository fail', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 404));
    const { client } = makeClient(server.url);
    await using _ = client;
    await failure(client.listTags(repository, '', never), 'NAME_UNKNOWN');
  });

  it('that are a web page fail', async () => {
    await using server = await TestServer.start((_, response) => {
      answer(response, 200, { 'content-type': 'text/html' }, '<p>');
    });
    const { client } = makeClient(server.url);
    await using _ = client;
    await failure(client.listTags(repository, '', never), 'UPSTREAM_INVALID');
  });
});

describe('referrers', () => {
  it('are passed on, with what upstream filtered', async () => {
    await using server = await TestServer.start((_, response) => {
      answer(response, 200, { 'content-type': ociIndex, 'oci-filters-applied': 'artifactType' }, '{}');
    });
    const { client } = makeClient(server.url);
    await using _ = client;
    const list = await client.referrers(repository, someDigest, 'artifactType=application%2Fx%2By&page=2', never);
    assert.deepEqual(list, {
      body: Buffer.from('{}'),
      mediaType: ociIndex,
      nextQuery: undefined,
      filtersApplied: 'artifactType',
    });
    const url = `/v2/library/app/referrers/${someDigest}?artifactType=application%2Fx%2By&page=2`;
    assert.equal(server.requests[0]?.url, url);
  });

  it('are undefined where upstream lacks the API', async () => {
    const answers: [number, Record<string, string>][] = [
      [404, {}],
      [405, {}],
      [501, {}],
      [200, { 'content-type': 'text/html' }],
      [200, json],
    ];
    for (const [status, headers] of answers) {
      await using server = await TestServer.start((_, response) => answer(response, status, headers, 'x'));
      const { client } = makeClient(server.url);
      await using _ = client;
      assert.equal(await client.referrers(repository, someDigest, '', never), undefined);
    }
  });

  it('that are refused fail', async () => {
    await using server = await TestServer.start((_, response) => answer(response, 403));
    const { client } = makeClient(server.url);
    await using _ = client;
    await failure(client.referrers(repository, someDigest, '', never), 'UPSTREAM_DENIED');
  });
});
