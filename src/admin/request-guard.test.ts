import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusalFor } from './request-guard.ts';

const localHosts = ['localhost:5001', '127.0.0.1:5001', '[::1]:5001', 'LOCALHOST', '10.1.2.3', 'localhost.', undefined];

for (const host of localHosts) {
  test(`a loopback listener serves a request for ${host ?? 'no host'}`, () => {
    assert.equal(refusalFor({ host }, '127.0.0.1'), undefined);
  });
}

for (const host of ['evil.example', 'evil.example:5001', '127.0.0.1.evil.example', 'localhost.evil.example', '']) {
  test(`a loopback listener refuses a request for ${host || 'an empty host'}`, () => {
    assert.match(refusalFor({ host }, '127.0.0.1') ?? '', /another machine/);
  });
}

test('a listener on a name of its own is served by that name', () => {
  assert.equal(refusalFor({ host: 'registry.corp:5001' }, 'registry.corp'), undefined);
});

test('a listener for all does not look at the name', () => {
  assert.equal(refusalFor({ host: 'onepull.svc.cluster.local' }, '0.0.0.0'), undefined);
});

test('a request from another site is refused wherever it comes in', () => {
  for (const bound of ['127.0.0.1', '0.0.0.0']) {
    assert.match(refusalFor({ host: 'localhost', 'sec-fetch-site': 'cross-site' }, bound) ?? '', /other sites/);
  }
  assert.equal(refusalFor({ host: 'localhost', 'sec-fetch-site': 'same-origin' }, '127.0.0.1'), undefined);
});
