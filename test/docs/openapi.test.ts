import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { test } from 'node:test';
import type { z } from 'zod';
import { stateDocument } from '../../src/admin/description/effect-operations.ts';
import { openApiDocument } from '../../src/admin/description/openapi-document.ts';
import { errors } from '../../src/admin/description/operation.ts';
import { operations } from '../../src/admin/description/operations.ts';
import { preheat } from '../../src/admin/description/preheat-fields.ts';
import { buildImage, type Content } from '../../src/cli/demo/image.ts';
import { productVersion } from '../../src/config/version.ts';
import { inWorld } from '../faults/world.ts';
import { inScene, leavingNothing } from '../integration/scene.ts';
import type { AdminApi } from '../support/admin-api.ts';
import { EventStream } from '../support/event-stream.ts';
import { both, rateLimited, slowHeaders, withHeader } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { OnepullApp } from '../support/onepull-app.ts';
import { readAll } from '../support/registry-session.ts';

const token = 'a-token-that-nobody-guesses';
const image = buildImage({ seed: 'openapi', layerSizes: [300_000, 200_000, 50_000] });
const [held, waiting, gone] = image.layers as [Content, Content, Content];

test('there is a description for each route, and a route for each', () => {
  const folder = new URL('../../src/admin/', import.meta.url);
  const files = readdirSync(folder).filter((name) => /-routes?\.ts$/.test(name));
  const source = files.map((name) => readFileSync(new URL(name, folder), 'utf8')).join('');
  const paths = [...source.matchAll(/'(\/(?:api\/|healthz|readyz|metrics)[^']*)'/g)].map(([, path]) => path);
  const described = new Set(operations.map(({ path }) => path));
  assert.deepEqual(new Set(paths), described);
  assert.equal(new Set(operations.map(({ summary }) => summary)).size, operations.length);
});

test('the file and the running instance give the same description', () =>
  inScene({}, async ({ onepull: { admin } }) => {
    const served = await admin.json('/api/v1/openapi.json');
    assert.deepEqual(served, JSON.parse(JSON.stringify(openApiDocument(operations, productVersion()))));
    const file = readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8');
    assert.deepEqual(served, JSON.parse(file));
  }));

test('every reference of the description leads somewhere, and every operation has a name of its own', () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(operations, '1')));
  const text = JSON.stringify(document);
  const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(([, name = '']) => name);
  assert.ok(names.length > 0);
  for (const name of names) assert.ok(Object.hasOwn(document.components.schemas, name), name);
  assert.doesNotMatch(text, /\$defs|"unit":/);
  const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, operations.length);
});

test('what is answered while pulls wait, come and fail is what is described', () =>
  inScene({}, async ({ registry, onepull: { admin, adminUrl }, client }) => {
    registry.content.add('org/app', image, 'v1');
    await using viewer = await EventStream.open(`${adminUrl}/api/v1/events`);
    await viewer.next();
    assertFits(stateDocument, viewer.state, 'the first event');
    /** Each state on the way is as described. */
    const untilPulls = (...states: readonly string[]) =>
      viewer.until((_, state) => {
        assertFits(stateDocument, state, 'what the changes make of it');
        return states.every((each) => JSON.stringify(state.pulls).includes(`"${each}"`));
      });
    await client.manifest('org/app', 'v1');
    const hold = registry.hold(held.digest, 150_000);
    const gate = new Gate();
    registry.next({ kind: 'blob', reference: waiting.digest }, slowHeaders(gate));
    const blobs = [held, waiting].map(({ digest }) => client.blob('org/app', digest));
    await Promise.all([hold.reached, gate.reached]);
    registry.content.removeBlob('org/app', gone.digest);
    assert.equal((await client.blob('org/app', gone.digest)).status, 404);
    await admin.until(
      () => admin.flights(),
      (flights) => ['pulling', 'waiting', 'failed'].every((state) => flights.some((flight) => flight.state === state)),
    );
    await assertAnswersFit(admin);
    await untilPulls('pulling', 'waiting', 'failed');
    hold.release();
    gate.release();
    await Promise.all(blobs);
    await untilPulls('done');
  }));

test('what is told of preheats while they run, fail, are cancelled and are done is what is described', () =>
  inScene({}, async ({ registry, onepull: { admin, adminUrl } }) => {
    registry.content.add('org/app', image, 'v1');
    const hold = registry.hold(held.digest, 150_000);
    await using viewer = await EventStream.open(`${adminUrl}/api/v1/events`);
    await viewer.next();
    const start = async (...images: readonly string[]) => {
      const { status, json } = await admin.change('POST', '/api/v1/preheats', { images });
      assert.equal(status, 202);
      assertFits(preheat, json, 'what the start answers');
      return `/api/v1/preheats/${(json as { id: string }).id}`;
    };
    const untilTold = (...states: readonly string[]) =>
      viewer.until((_, state) => {
        assertFits(stateDocument, state, 'what the changes make of it');
        const told = Object.values(state.preheats as Readonly<Record<string, { state: string }>>);
        return states.every((each) => told.some((one) => one.state === each));
      });
    const first = await start('org/app:v1', 'org/none:v1');
    await hold.reached;
    await untilTold('running');
    assertFits(preheat, await admin.json(first), 'one that runs');
    const second = await start('org/app:v1');
    const { json: cancelled } = await admin.change('DELETE', second);
    assertFits(preheat, cancelled, 'one that is cancelled');
    hold.release();
    await start('org/app:v1');
    await untilTold('failed', 'cancelled', 'done');
    for (const path of [first, second]) assertFits(preheat, await admin.json(path), 'one that has ended');
    await assertAnswersFit(admin);
  }));

test('what is answered while upstreams limit us and are away is what is described', () =>
  inWorld({ mirrors: [{}] }, async ({ registry, mirrors, client, admin }) => {
    for (const each of [registry, ...mirrors]) each.content.add('org/app', image, 'v1');
    const limits = both(withHeader('ratelimit-limit', '100;w=60'), withHeader('ratelimit-remaining', '0;w=60'));
    registry.next({ kind: 'manifest', method: 'GET' }, both(rateLimited(30), limits));
    assert.equal((await client.manifest('org/app', 'v1')).status, 200);
    await registry.goAway();
    for (const { digest } of [held, waiting]) await client.blob('org/app', digest);
    await assertAnswersFit(admin);
    await registry.comeBack();
  }));

test('each operation refuses what it does not do in the form, and with a status, that is described', () =>
  leavingNothing(async () => {
    await using onepull = await OnepullApp.start({ adminToken: token });
    const json = { 'content-type': 'application/json' };
    const known = { ...json, authorization: `Bearer ${token}` };
    for (const operation of operations) {
      const url = `${onepull.adminUrl}${operation.path.replace(':id', 'none')}`;
      const isChange = operation.method !== 'GET';
      const refusals: [status: number, headers: Record<string, string>, query?: string, body?: string][] = [
        [403, { ...known, 'sec-fetch-site': 'cross-site' }],
      ];
      if (isChange) {
        refusals.push([401, json], [401, { ...known, authorization: `Bearer ${token}x` }]);
        refusals.push(
          [403, { ...known, 'sec-fetch-site': 'same-site' }],
          [403, { ...known, origin: 'http://a.example' }],
        );
        refusals.push([415, { ...known, 'content-type': 'text/plain' }]);
        refusals.push([400, known, '', '{'], [413, known, '', ' '.repeat(65_537)]);
      }
      if (operation.parameters?.query !== undefined) refusals.push([400, known, '?nonsense=1']);
      if (operation.parameters?.query !== undefined && isChange)
        refusals.push([400, known], [404, known, '?image=none:v1']);
      if (operation.parameters?.path !== undefined) refusals.push([404, known]);
      if (operation.body !== undefined) refusals.push([400, known, '', '{"nonsense":1}'], [400, known]);
      for (const [status, headers, query = '', body] of refusals) {
        const answer = await answerTo(`${url}${query}`, operation.method, headers, body);
        const what = `${operation.method} ${operation.path}${query} ${JSON.stringify(headers)}`;
        assert.deepEqual([answer.status, answer.type], [status, 'application/json; charset=utf-8'], what);
        assertFits(errors, JSON.parse(answer.text), what);
        assert.ok(status !== 404 || operation.answers[404] !== undefined, `${what} is not described`);
        assert.doesNotMatch(answer.text, /guesses/);
      }
    }
  }));

/** Like fetch, which sets some headers itself. */
async function answerTo(url: string, method: string, given: Record<string, string>, body = '') {
  const headers = { ...given, 'content-length': String(Buffer.byteLength(body)) };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request(url, { agent: false, method, headers }, resolve).once('error', reject).end(body);
  const response = await promise;
  const text = (await readAll(response)).toString();
  return { status: response.statusCode, type: response.headers['content-type'], text };
}

/** Asks everything that can be asked without parameters. */
async function assertAnswersFit(admin: AdminApi): Promise<void> {
  for (const { method, path, answers, parameters } of operations) {
    const isAsked = method === 'GET' && parameters?.path === undefined && path !== '/api/v1/events';
    if (!isAsked) continue;
    const { status, text } = await admin.get(path);
    const answer = answers[status];
    assert.ok(answer, `${path} answers ${status}, which is not described`);
    if (answer.schema !== undefined) assertFits(answer.schema, JSON.parse(text), path);
  }
}

function assertFits(schema: z.ZodType, value: unknown, what: string): void {
  const { error } = schema.safeParse(value);
  assert.equal(error, undefined, `${what}: ${error?.message}`);
}
