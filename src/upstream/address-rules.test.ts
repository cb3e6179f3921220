import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AddressClass, classifyAddress, literalAddress } from './address-rules.ts';

const table: Record<AddressClass, string[]> = {
  public: [
    '1.1.1.1',
    '8.8.8.8',
    '172.15.0.1',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '2606:4700::1111',
    '64:ff9b::8.8.8.8',
    '2002:808:808::1',
  ],
  internal: [
    '127.0.0.1',
    '127.255.255.254',
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '100.127.255.255',
    '::1',
    'fc00::1',
    'fdff:ffff::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::10.0.0.1',
    '2002:a00:1::1',
    '::127.0.0.1',
  ],
  special: [
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '239.1.1.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'ff02::1',
    '2001:db8::1',
    '::ffff:8.8.8.8',
    '::ffff:169.254.169.254',
    '64:ff9b::169.254.169.254',
    '198.18.0.1',
    'not-an-address',
    '',
  ],
};

describe('classifyAddress', () => {
  for (const [expected, addresses] of Object.entries(table)) {
    for (const address of addresses) {
      it(`calls ${address || 'nothing'} ${expected}`, () => assert.equal(classifyAddress(address), expected));
    }
  }
});

describe('literalAddress', () => {
  it('takes the brackets off and leaves names alone', () => {
    assert.equal(literalAddress('[::1]'), '::1');
    assert.equal(literalAddress('127.0.0.1'), '127.0.0.1');
    assert.equal(literalAddress('localhost'), undefined);
    assert.equal(literalAddress(new URL('http://0x7f.1/').hostname), '127.0.0.1');
    assert.equal(literalAddress(new URL('http://2130706433/').hostname), '127.0.0.1');
  });
});
