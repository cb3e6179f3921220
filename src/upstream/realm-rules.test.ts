import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decideRealm } from './realm-rules.ts';

type Row = [realm: string, endpoint: string, authRealms: string[], expected: 'trusted' | 'anonymous-only' | 'invalid'];

const rows: Row[] = [
  // Its own host, whatever the port.
  ['https://ghcr.io/token', 'https://ghcr.io', [], 'trusted'],
  ['https://registry.corp.example:8443/t', 'https://registry.corp.example', [], 'trusted'],
  ['http://127.0.0.1:9000/token', 'http://127.0.0.1:5000', [], 'trusted'],
  ['https://GHCR.io/token', 'https://ghcr.io', [], 'trusted'],
  ['http://[::1]:9000/token', 'http://[::1]:5000', [], 'trusted'],
  // The same registrable domain.
  ['https://auth.docker.io/token', 'https://registry-1.docker.io', [], 'trusted'],
  ['https://gitlab.com/jwt/auth', 'https://registry.gitlab.com', [], 'trusted'],
  ['https://login.corp.co.uk/t', 'https://registry.corp.co.uk', [], 'trusted'],
  // Others.
  ['https://evil.example/token', 'https://registry-1.docker.io', [], 'anonymous-only'],
  ['https://docker.io.evil.example/token', 'https://registry-1.docker.io', [], 'anonymous-only'],
  ['https://evildocker.io/token', 'https://registry-1.docker.io', [], 'anonymous-only'],
  ['https://other.co.uk/t', 'https://registry.corp.co.uk', [], 'anonymous-only'],
  // Tenants of one hosting domain are strangers; so are bare public suffixes.
  ['https://evil.github.io/t', 'https://good.github.io', [], 'anonymous-only'],
  ['https://github.io/t', 'https://good.github.io', [], 'anonymous-only'],
  // Addresses and single labels compare by host.
  ['http://127.0.0.2/token', 'http://127.0.0.1', [], 'anonymous-only'],
  ['http://localhost/token', 'http://127.0.0.1', [], 'anonymous-only'],
  ['http://10.0.0.2/token', 'http://10.0.0.1', [], 'anonymous-only'],
  ['https://auth/token', 'https://registry', [], 'anonymous-only'],
  ['https://registry/token', 'https://registry', [], 'trusted'],
  ['https://auth.internal/token', 'https://registry.internal', [], 'anonymous-only'],
  // Listed.
  ['https://sso.example/token', 'https://registry.corp.com', ['sso.example'], 'trusted'],
  ['https://sso.example/token', 'https://registry.corp.com', ['https://sso.example/token'], 'trusted'],
  ['https://sso.example:8443/token', 'https://registry.corp.com', ['sso.example'], 'trusted'],
  ['https://sso.example:8443/token', 'https://registry.corp.com', ['sso.example:8443'], 'trusted'],
  ['https://sso.example/token', 'https://registry.corp.com', ['sso.example:443'], 'trusted'],
  ['https://sso.example:9/token', 'https://registry.corp.com', ['sso.example:8443'], 'anonymous-only'],
  ['https://a.sso.example/token', 'https://registry.corp.com', ['sso.example'], 'anonymous-only'],
  ['https://sso.example/token', 'https://registry.corp.com', ['', '://', 'x y'], 'anonymous-only'],
  // Plain http from an https upstream never, listed or not; a plain upstream may.
  ['http://registry.corp.com/token', 'https://registry.corp.com', [], 'anonymous-only'],
  ['http://sso.example/token', 'https://registry.corp.com', ['sso.example', 'http://sso.example'], 'anonymous-only'],
  ['http://sso.example/token', 'http://registry.corp.com', ['sso.example'], 'trusted'],
  ['https://registry.corp.com/token', 'http://registry.corp.com', [], 'trusted'],
  // Nothing to ask.
  ['/token', 'https://registry.corp.com', [], 'invalid'],
  ['', 'https://registry.corp.com', [], 'invalid'],
  ['ftp://registry.corp.com/token', 'https://registry.corp.com', [], 'invalid'],
  ['https://user:pw@registry.corp.com/token', 'https://registry.corp.com', [], 'invalid'],
];

describe('which realm may see credentials', () => {
  for (const [realm, endpoint, authRealms, expected] of rows) {
    it(`${expected}: ${realm} for ${endpoint} listing [${authRealms}]`, () => {
      assert.equal(decideRealm(realm, new URL(endpoint), authRealms).kind, expected);
    });
  }
});
