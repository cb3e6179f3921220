import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import { ask, askBoth } from './testing/test-client.ts';
import { TestGateway } from './testing/test-gateway.ts';

const manifest = Buffer.from('{"schemaVersion":2}');

describe('errors', () => {
  it("gives upstream's refusals to the client as what they are", async () => {
    await using gateway = await TestGateway.start();
    const cases: [error: AppError, status: number, code: string, header: string, value: string][] = [
      [
        new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs: 1_200 }),
        429,
        'TOOMANYREQUESTS',
        'retry-after',
        '2',
      ],
      [
        new AppError('UPSTREAM_UNAUTHORIZED', 'no', { details: { upstream: 'ghcr.io' } }),
        401,
        'UNAUTHORIZED',
        'www-authenticate',
        'Basic realm="ghcr.io"',
      ],
      [new AppError('UPSTREAM_FAILED', 'down', { status: 503 }), 503, 'UNAVAILABLE', 'cache-control', 'no-store'],
    ];
    for (const [error, status, code, header, value] of cases) {
      gateway.depot.manifest = async () => {
        throw error;
      };
      const answer = await askBoth(gateway.port, '/v2/a/manifests/x');
      assert.equal(answer.status, status);
      assert.equal(answer.headers[header], value);
      assert.equal(JSON.parse(answer.body.toString()).errors[0].code, code);
    }
    assert.equal((await gateway.event()).errorCode, 'UPSTREAM_RATE_LIMITED');
  });

  it('hides what nobody foresaw behind the id of the request', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.manifest = () => {
      throw new TypeError('cannot read properties of /etc/secret');
    };
    const answer = await ask(gateway.port, '/v2/a/manifests/x');
    assert.equal(answer.status, 500);
    assert.ok(!answer.body.includes('secret'));
    assert.ok(answer.body.includes((await gateway.event()).id));
    assert.equal(gateway.notices[0]?.level, 'error');
  });

  it('survives a header that cannot be sent', async () => {
    await using gateway = await TestGateway.start();
    gateway.depot.addManifest('a', 'v1', manifest, 'text/plain\r\nX-Evil: 1');
    const answer = await ask(gateway.port, '/v2/a/manifests/v1');
    assert.equal(answer.status, 500);
    assert.equal(answer.headers['x-evil'], undefined);
  });

  it('answers 404 for registries that are not configured and for paths that are not there', async () => {
    await using gateway = await TestGateway.start();
    const registry = await ask(gateway.port, '/v2/a/manifests/x?ns=unknown.example');
    assert.equal(registry.status, 404);
    assert.equal(JSON.parse(registry.body.toString()).errors[0].code, 'NAME_UNKNOWN');
    const path = await ask(gateway.port, '/favicon.ico');
    assert.equal(path.status, 404);
    assert.match(JSON.parse(path.body.toString()).errors[0].detail.hint, /\/v2\//);
  });

  it('refuses pushes and other methods with 405', async () => {
    await using gateway = await TestGateway.start();
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
      const answer = await ask(gateway.port, '/v2/a/blobs/uploads/', { method });
      assert.equal(answer.status, 405, method);
      assert.equal(answer.headers.allow, 'GET, HEAD');
      const { message } = JSON.parse(answer.body.toString()).errors[0];
      if (method === 'POST') assert.match(message, /pull-through cache/);
    }
  });
});
