import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decideRedirect, isAllowedHost, type RedirectSituation, refuseAddress } from './redirect-rules.ts';

const publicUpstream: RedirectSituation = {
  from: new URL('https://registry.example/v2/a/blobs/x'),
  location: undefined,
  followed: 0,
  upstreamIsHttps: true,
  upstreamIsInternal: false,
  allow: [],
};

function decide(location: string | undefined, change: Partial<RedirectSituation> = {}) {
  return decideRedirect({ ...publicUpstream, location, ...change });
}

describe('redirects', () => {
  const plain = { from: new URL('http://registry.example/v2/'), upstreamIsHttps: false };
  const followed: [string, Partial<RedirectSituation>, string, boolean][] = [
    ['https://cdn.example/blob?sig=1', {}, 'https://cdn.example/blob?sig=1', false],
    ['/other', {}, 'https://registry.example/other', true],
    ['?n=1', {}, 'https://registry.example/v2/a/blobs/x?n=1', true],
    ['//cdn.example/x', {}, 'https://cdn.example/x', false],
    ['https://registry.example:8443/x', {}, 'https://registry.example:8443/x', false],
    ['https://cdn.example/#fragment', {}, 'https://cdn.example/', false],
    ['https://user:pw@cdn.example/', {}, 'https://cdn.example/', false],
    ['https://cdn.example/', { followed: 4 }, 'https://cdn.example/', false],
    ['http://cdn.example/', plain, 'http://cdn.example/', false],
    ['https://10.1.2.3/', { upstreamIsInternal: true }, 'https://10.1.2.3/', false],
    ['https://127.0.0.1/', { upstreamIsInternal: true }, 'https://127.0.0.1/', false],
    ['https://10.1.2.3/', { allow: ['10.1.2.3'] }, 'https://10.1.2.3/', false],
    ['https://[::1]:9000/', { allow: ['::1'] }, 'https://[::1]:9000/', false],
    ['https://169.254.1.1/', { allow: ['169.254.1.1'] }, 'https://169.254.1.1/', false],
    ['https://1.1.1.1/', {}, 'https://1.1.1.1/', false],
  ];
  for (const [location, change, url, sameOrigin] of followed) {
    it(`follows ${location} ${JSON.stringify(change)}`, () => {
      const decision = decide(location, change);
      assert.equal(decision.kind, 'follow');
      if (decision.kind === 'follow') assert.deepEqual([decision.url.href, decision.sameOrigin], [url, sameOrigin]);
    });
  }

  const refused: [string | undefined, Partial<RedirectSituation>][] = [
    [undefined, {}],
    ['https://', {}],
    ['http://cdn.example/', {}],
    ['http://registry.example/', {}],
    ['http://cdn.example/', { allow: ['cdn.example'] }],
    ['http://cdn.example/', { upstreamIsHttps: false }],
    ['file:///etc/passwd', {}],
    ['ftp://cdn.example/', {}],
    ['javascript:alert(1)', {}],
    ['https://cdn.example/', { followed: 5 }],
    ['https://127.0.0.1/', {}],
    ['https://0x7f000001/', {}],
    ['https://2130706433/', {}],
    ['https://10.0.0.1/', {}],
    ['https://100.64.0.1/', {}],
    ['https://169.254.169.254/latest/meta-data', {}],
    ['https://169.254.169.254/latest/meta-data', { upstreamIsInternal: true }],
    ['https://0.0.0.0/', { upstreamIsInternal: true }],
    ['https://224.0.0.1/', {}],
    ['https://[::1]/', {}],
    ['https://[::]/', {}],
    ['https://[fe80::1]/', {}],
    ['https://[fd00::1]/', {}],
    ['https://[::ffff:127.0.0.1]/', {}],
    ['https://[::ffff:8.8.8.8]/', {}],
    ['https://10.0.0.1/', { allow: ['10.0.0.2', '*.0.0.2'] }],
  ];
  for (const [location, change] of refused) {
    it(`refuses ${location} ${JSON.stringify(change)}`, () => assert.equal(decide(location, change).kind, 'refuse'));
  }

  it('never repeats the query in its reason', () => {
    const decision = decide('http://cdn.example/blob?X-Amz-Signature=secret');
    assert.ok(decision.kind === 'refuse' && !decision.reason.includes('secret'));
  });
});

describe('redirects.allow', () => {
  const rows: [string, string[], boolean][] = [
    ['https://minio.corp', ['minio.corp'], true],
    ['https://minio.corp:9000', ['minio.corp'], true],
    ['https://minio.corp:9000', ['minio.corp:9000'], true],
    ['https://minio.corp:9001', ['minio.corp:9000'], false],
    ['https://a.minio.corp', ['minio.corp'], false],
    ['https://a.minio.corp', ['*.minio.corp'], true],
    ['https://minio.corp', ['*.minio.corp'], false],
    ['https://eviltminio.corp', ['*.minio.corp'], false],
    ['https://MINIO.corp', [' Minio.Corp '], true],
    ['https://minio.corp', [], false],
  ];
  for (const [url, allow, expected] of rows) {
    it(`${expected ? 'names' : 'does not name'} ${url}: [${allow}]`, () => {
      assert.equal(isAllowedHost(new URL(url), allow), expected);
    });
  }
});

describe('addresses behind a name', () => {
  it('may be public, or internal where the upstream is internal too', () => {
    assert.equal(refuseAddress('h', 'public', false), undefined);
    assert.equal(refuseAddress('h', 'internal', true), undefined);
    assert.match(refuseAddress('h', 'internal', false) ?? '', /redirects\.allow/);
    assert.match(refuseAddress('h', 'special', true) ?? '', /redirects\.allow/);
  });
});
