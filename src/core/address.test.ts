import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import { Random } from '../flights/testing/random.ts';
import { addressesCollide, addressText, isHost, isIPv4, isIPv6, isLoopback, parseAddress } from './address.ts';

for (const text of ['0.0.0.0:5000', 'localhost:0', '[::1]:5000', '[::]:65535', 'registry.corp.example:443']) {
  test(`${text} is an address and is written as it was read`, () => {
    const address = parseAddress(text);
    assert(address !== undefined);
    assert.equal(addressText(address), text);
  });
}

for (const text of [
  '',
  ':5000',
  '5000',
  '::1:5000',
  '[::1]',
  '1.2.3.4:65536',
  '1.2.3:1',
  'a_b:1',
  '[1.2.3.4]:1',
  'a:-1',
]) {
  test(`"${text}" is no address`, () => {
    assert.equal(parseAddress(text), undefined);
  });
}

test('a host is a name or an address, with or without a port', () => {
  for (const text of ['docker.io', 'localhost:5000', '10.0.0.1', '[::1]', '[::1]:80']) assert(isHost(text), text);
  for (const text of ['', 'a b', 'https://x', 'x/y', 'x:0', '__proto__', '-a.b', 'a..b', '::1'])
    assert(!isHost(text), text);
});

test('knows what only this machine reaches', () => {
  for (const host of ['localhost', '127.0.0.1', '127.9.9.9', '::1']) assert(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example']) assert(!isLoopback(host), host);
});

test('two listeners collide on the same port, also where one listens for all addresses', () => {
  const at = (host: string, port: number) => ({ host, port });
  assert(addressesCollide(at('127.0.0.1', 1), at('127.0.0.1', 1)));
  assert(addressesCollide(at('0.0.0.0', 1), at('127.0.0.1', 1)));
  assert(!addressesCollide(at('127.0.0.1', 1), at('127.0.0.1', 2)));
  assert(!addressesCollide(at('127.0.0.1', 1), at('127.0.0.2', 1)));
  assert(!addressesCollide(at('0.0.0.0', 0), at('0.0.0.0', 0)));
});

test('what an IP address is, node:net sees alike', () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32));
  const random = new Random(seed);
  const many = (count: number, make: () => string) => Array.from({ length: count }, make);
  const parts = [
    '::',
    ':',
    ':',
    '1',
    'ffff',
    '0',
    '12345',
    'g',
    '.',
    '1.2.3.4',
    '256',
    '01',
    '%',
    'eth0',
    'A',
    '[',
    ' ',
  ];
  const written = [
    '::',
    '::1',
    '1::2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8',
    '1::2:3:4:5:6:7:8',
    '::ffff:1.2.3.4',
    'fe80::1%eth0',
  ];
  const made = many(20_000, () => many(1 + random.below(12), () => random.pick(parts) ?? '').join(''));
  const eights = many(5000, () => many(5 + random.below(5), () => (random.chance(0.15) ? '' : '1f')).join(':'));
  const quads = many(5000, () => many(4, () => String(random.below(300))).join('.'));
  for (const text of [...written, ...made, ...eights, ...quads]) {
    const version = isIPv4(text) ? 4 : isIPv6(text) ? 6 : 0;
    assert.equal(version, isIP(text), `${JSON.stringify(text)}, seed ${seed}`);
  }
});
