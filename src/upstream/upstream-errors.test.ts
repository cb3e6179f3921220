import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UpstreamRequestKind } from '../telemetry/channels.ts';
import { cleanText, connectionError, readRetryAfter, statusError } from './upstream-errors.ts';

const nowMs = Date.parse('2026-01-01T00:00:00Z');
const context = (kind: UpstreamRequestKind) => ({ upstream: 'r', host: 'r.example', kind });

function answer(kind: UpstreamRequestKind, status: number, body?: unknown, headers: Record<string, string> = {}) {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  return statusError(context(kind), { status, headers, body: text, nowMs });
}

describe('an upstream’s refusal', () => {
  const oci = (code: string) => ({ errors: [{ code, message: 'because' }] });
  const rows: [UpstreamRequestKind, number, unknown, string][] = [
    ['manifest', 401, undefined, 'UPSTREAM_UNAUTHORIZED'],
    ['manifest', 403, oci('DENIED'), 'UPSTREAM_DENIED'],
    ['manifest', 404, undefined, 'MANIFEST_UNKNOWN'],
    ['manifest', 404, oci('MANIFEST_UNKNOWN'), 'MANIFEST_UNKNOWN'],
    ['manifest', 404, oci('NAME_UNKNOWN'), 'NAME_UNKNOWN'],
    ['blob', 404, '<html>no</html>', 'BLOB_UNKNOWN'],
    ['blob', 404, oci('NAME_UNKNOWN'), 'NAME_UNKNOWN'],
    ['tags', 404, undefined, 'NAME_UNKNOWN'],
    ['manifest', 410, undefined, 'MANIFEST_UNKNOWN'],
    ['manifest', 429, undefined, 'UPSTREAM_RATE_LIMITED'],
    ['manifest', 400, undefined, 'UPSTREAM_INVALID'],
    ['blob', 416, undefined, 'UPSTREAM_INVALID'],
    ['blob', 304, undefined, 'UPSTREAM_INVALID'],
    ['token', 400, undefined, 'UPSTREAM_UNAUTHORIZED'],
    ['token', 404, undefined, 'UPSTREAM_UNAUTHORIZED'],
    ['token', 503, undefined, 'UPSTREAM_FAILED'],
  ];
  for (const [kind, status, body, code] of rows) {
    it(`to a ${kind} request with ${status} ${JSON.stringify(body) ?? ''} is ${code}`, () => {
      assert.equal(answer(kind, status, body).code, code);
    });
  }

  it('keeps a 5xx status and its Retry-After', () => {
    const error = answer('manifest', 503, undefined, { 'retry-after': '7' });
    assert.deepEqual([error.code, error.status, error.retryAfterMs], ['UPSTREAM_FAILED', 503, 7000]);
  });

  it('carries upstream’s own words, bounded and without control characters', () => {
    assert.match(answer('manifest', 403, oci('DENIED')).message, /r\.example\) answered 403: because$/);
    assert.match(
      answer('token', 401, { details: 'wrong password' }).message,
      /token server r\.example .*wrong password/,
    );
    assert.match(answer('token', 400, { error: 'invalid_scope', error_description: 'no' }).message, /: no$/);
    assert.match(
      answer('blob', 429, 'slow\ndown\u001b[31m', { 'content-type': 'text/plain' }).message,
      /: slow down \[31m$/,
    );
    assert.match(answer('blob', 429, '<html>slow', { 'content-type': 'text/plain' }).message, /answered 429$/);
    assert.match(answer('blob', 429, '<html>slow', { 'content-type': 'text/html' }).message, /answered 429$/);
    assert.ok(answer('blob', 500, { message: 'x'.repeat(5000) }).message.length < 400);
  });

  it('is read whatever shape its body has', () => {
    for (const body of [
      '',
      '[]',
      'null',
      '7',
      '{"errors":7}',
      '{"errors":[null]}',
      '{"errors":[{"message":{}}]}',
      '{',
    ]) {
      assert.equal(answer('blob', 404, body).code, 'BLOB_UNKNOWN');
    }
  });

  it('never repeats a query string', () => {
    assert.equal(cleanText('see https://cdn.example/x?X-Amz-Signature=secret now'), 'see https://cdn.example/x now');
  });
});

describe('Retry-After', () => {
  const rows: [Record<string, string>, number | undefined][] = [
    [{}, undefined],
    [{ 'retry-after': '120' }, 120_000],
    [{ 'retry-after': ' 0 ' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT' }, 60_000],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:01:00 GMT', date: 'Thu, 01 Jan 2026 00:00:50 GMT' }, 10_000],
    [{ 'retry-after': 'Wed, 31 Dec 2025 00:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, undefined],
  ];
  for (const [headers, expected] of rows) {
    it(`${JSON.stringify(headers)} is ${expected} ms`, () => {
      assert.equal(readRetryAfter(headers, nowMs), expected);
    });
  }
});

describe('a connection that fails', () => {
  const rows: [string, string, RegExp][] = [
    ['ENOTFOUND', 'UPSTREAM_UNREACHABLE', /r\.example.*DNS/],
    ['ECONNREFUSED', 'UPSTREAM_UNREACHABLE', /r\.example.*refused/],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'UPSTREAM_UNREACHABLE', /r\.example.*TLS/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'UPSTREAM_UNREACHABLE', /TLS/],
    ['ECONNRESET', 'UPSTREAM_UNREACHABLE', /closed/],
    ['UND_ERR_CONNECT_TIMEOUT', 'UPSTREAM_TIMEOUT', /r\.example/],
    ['UND_ERR_HEADERS_OVERFLOW', 'UPSTREAM_INVALID', /HTTP/],
    ['EMFILE', 'OVERLOADED', /r\.example.*descriptor/],
    ['ENFILE', 'OVERLOADED', /r\.example.*descriptor/],
  ];
  for (const [systemCode, code, message] of rows) {
    it(`with ${systemCode} says what and where`, () => {
      const error = connectionError(context('blob'), Object.assign(new Error('x'), { code: systemCode }));
      assert.equal(error.code, code);
      assert.match(error.message, message);
    });
  }

  it('at every address says what the first one said', () => {
    const refused = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
    assert.match(connectionError(context('blob'), new AggregateError([refused])).message, /refused/);
  });
});
