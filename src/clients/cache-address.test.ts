import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '../core/address.ts';
import { type CachePlace, cacheAddress, clientAddress } from './cache-address.ts';

const ways = { address: '--address HOST:PORT', ca: '--ca FILE' };

function addressOf(listen: string, place: Partial<CachePlace> = {}) {
  const parsed = parseAddress(listen);
  assert.ok(parsed);
  return cacheAddress({ listen: parsed, askedAt: undefined, machine: undefined, ...place }, ways);
}

test('where it listens on one address, that is it', () => {
  assert.deepEqual(addressOf('10.0.0.7:5000', { askedAt: 'edge-1.lan' }), { address: '10.0.0.7:5000', notes: [] });
  assert.deepEqual(addressOf('127.0.0.1:5000'), {
    address: '127.0.0.1:5000',
    notes: ['It listens on loopback: only clients on its own machine reach it.'],
  });
});

test('where it listens everywhere, the name by which it was asked is a guess', () => {
  for (const listen of ['0.0.0.0:5000', '[::]:5000']) {
    assert.deepEqual(addressOf(listen, { askedAt: 'edge-1.lan', machine: 'laptop' }), {
      address: 'edge-1.lan:5000',
      notes: ['edge-1.lan:5000 is a guess; --address HOST:PORT says where clients reach the cache.'],
    });
  }
  assert.equal(addressOf('[::]:5000', { askedAt: '2001:db8::7' }).address, '[2001:db8::7]:5000');
});

test('asked by loopback it is on this machine, whose name is better; a page does not know that name', () => {
  assert.equal(addressOf('0.0.0.0:5000', { askedAt: '::1', machine: 'edge-1' }).address, 'edge-1:5000');
  assert.equal(addressOf('0.0.0.0:5000', { machine: 'edge-1' }).address, 'edge-1:5000');
  assert.deepEqual(addressOf('0.0.0.0:5000', { askedAt: 'localhost' }), {
    address: 'localhost:5000',
    notes: [
      'localhost:5000 is a guess, for clients on its own machine; --address HOST:PORT says where clients reach the cache.',
    ],
  });
});

test('what clients can be told has a host and a port', () => {
  assert.equal(clientAddress('[::1]:80'), '[::1]:80');
  for (const text of ['', 'cache.lan', 'cache.lan:', 'cache.lan:0', 'http://cache.lan:80', '::1:80']) {
    assert.equal(clientAddress(text), undefined, text);
  }
});
