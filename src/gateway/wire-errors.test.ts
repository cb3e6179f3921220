import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type ErrorCode, errorTable } from '../core/errors.ts';
import { rawWireError, wireErrorOf } from './wire-errors.ts';

function header(headers: readonly string[], name: string): string | undefined {
  const index = headers.findIndex((entry, position) => position % 2 === 0 && entry === name);
  return index === -1 ? undefined : headers[index + 1];
}

describe('errors on the wire', () => {
  for (const code of Object.keys(errorTable()) as ErrorCode[]) {
    it(`gives ${code} its status and the form of the OCI specification`, () => {
      const { status, headers, body } = wireErrorOf(new AppError(code, 'why'), 'r1');
      const { errors } = JSON.parse(body.toString()) as {
        errors: { code: string; message: string; detail: unknown }[];
      };
      assert.equal(status, errorTable()[code].status);
      assert.equal(errors.length, 1);
      assert.equal(errors[0]?.code, errorTable()[code].oci);
      assert.equal(header(headers, 'Content-Length'), String(body.length));
      assert.equal(header(headers, 'Content-Type'), 'application/json');
      assert.equal(header(headers, 'Cache-Control'), 'no-store');
      assert.equal(header(headers, 'Docker-Distribution-Api-Version'), 'registry/2.0');
    });
  }

  it('rounds Retry-After up to whole seconds', () => {
    const after = (retryAfterMs: number) =>
      header(
        wireErrorOf(new AppError('UPSTREAM_RATE_LIMITED', 'slow down', { retryAfterMs }), 'r').headers,
        'Retry-After',
      );
    assert.equal(after(1), '1');
    assert.equal(after(1000), '1');
    assert.equal(after(1001), '2');
    assert.equal(after(0), '1');
  });

  it("keeps upstream's own status where the error carries one", () => {
    assert.equal(wireErrorOf(new AppError('UPSTREAM_FAILED', 'down', { status: 503 }), 'r').status, 503);
  });

  it('challenges on 401 in the name of the upstream, whatever its name', () => {
    const error = new AppError('UPSTREAM_UNAUTHORIZED', 'no', { details: { upstream: 'a"b\r\nc' } });
    assert.equal(header(wireErrorOf(error, 'r').headers, 'WWW-Authenticate'), 'Basic realm="a_b__c"');
    const plain = new AppError('UPSTREAM_UNAUTHORIZED', 'no');
    assert.equal(header(wireErrorOf(plain, 'r').headers, 'WWW-Authenticate'), 'Basic realm="onepull"');
  });

  it('shows the id of the request instead of what went wrong inside', () => {
    const error = new AppError('INTERNAL', 'password=hunter2', { details: { file: '/secret' } });
    const text = wireErrorOf(error, 'req-7').body.toString();
    assert.ok(text.includes('req-7') && !text.includes('hunter2') && !text.includes('/secret'));
  });

  it('says the size with 416 and the methods with 405', () => {
    const range = new AppError('RANGE_UNSATISFIABLE', 'beyond', { details: { sizeBytes: 12 } });
    assert.equal(header(wireErrorOf(range, 'r').headers, 'Content-Range'), 'bytes */12');
    assert.equal(header(wireErrorOf(new AppError('METHOD_UNSUPPORTED', 'no'), 'r').headers, 'Allow'), 'GET, HEAD');
  });

  it('is a whole response that closes the connection on a raw socket', () => {
    const text = rawWireError(new AppError('HEADERS_TOO_LARGE', 'too large'), 'r').toString();
    const [head = '', body = ''] = text.split('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\nConnection: close\r\n/);
    assert.match(head, new RegExp(`Content-Length: ${Buffer.byteLength(body)}`));
    assert.equal((JSON.parse(body) as { errors: unknown[] }).errors.length, 1);
  });
});
