import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { proxyFor } from './proxy-env.ts';

const proxies = { HTTP_PROXY: 'http://plain:1', HTTPS_PROXY: 'http://secure:2' };

describe('proxy variables', () => {
  it('choose by the target', () => {
    assert.equal(proxyFor(new URL('http://a.example'), proxies)?.host, 'plain:1');
    assert.equal(proxyFor(new URL('https://a.example'), proxies)?.host, 'secure:2');
    assert.equal(proxyFor(new URL('https://a.example'), { HTTP_PROXY: 'http://plain:1' }), undefined);
    assert.equal(proxyFor(new URL('https://a.example'), {}), undefined);
  });

  it('win in lower case, and may lack a scheme', () => {
    assert.equal(proxyFor(new URL('http://a.example'), { ...proxies, http_proxy: 'lower:3' })?.href, 'http://lower:3/');
  });

  it('never apply to this machine', () => {
    for (const url of ['http://localhost:5000', 'http://127.0.0.1', 'https://[::1]']) {
      assert.equal(proxyFor(new URL(url), proxies), undefined);
    }
  });

  it('are refused when they are no address, without being repeated', () => {
    const broken = { HTTPS_PROXY: 'socks5://user:secret@proxy:1' };
    assert.throws(
      () => proxyFor(new URL('https://a.example'), broken),
      (error: Error) => /HTTPS_PROXY/.test(error.message) && !error.message.includes('secret'),
    );
  });

  const rows: [noProxy: string, url: string, direct: boolean][] = [
    ['*', 'https://a.example', true],
    ['a.example', 'https://a.example', true],
    ['a.example', 'https://b.a.example', true],
    ['a.example', 'https://ba.example', false],
    ['.a.example', 'https://a.example', false],
    ['.a.example', 'https://b.a.example', true],
    ['*.a.example', 'https://b.a.example', true],
    ['A.Example', 'https://a.example', true],
    ['x, a.example  y', 'https://a.example', true],
    ['a.example:443', 'https://a.example', true],
    ['a.example:8443', 'https://a.example', false],
    ['10.0.0.0/8', 'https://10.2.3.4', true],
    ['10.0.0.0/8', 'https://11.2.3.4', false],
    ['10.0.0.0/99', 'https://10.2.3.4', false],
    ['10.2.3.4', 'https://10.2.3.4', true],
    ['fd00::/8', 'https://[fd00::5]', true],
    ['[fd00::5]', 'https://[fd00::5]', true],
    ['', 'https://a.example', false],
    [',,', 'https://a.example', false],
  ];
  for (const [noProxy, url, direct] of rows) {
    it(`NO_PROXY="${noProxy}" sends ${url} ${direct ? 'directly' : 'through the proxy'}`, () => {
      assert.equal(proxyFor(new URL(url), { ...proxies, NO_PROXY: noProxy }) === undefined, direct);
    });
  }
});
