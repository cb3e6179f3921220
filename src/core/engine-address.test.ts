import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { engineAddress, engineName } from './engine-address.ts';

const plain = {
  kind: 'single',
  hosts: [{ host: '10.0.0.5', port: 6379 }],
  master: undefined,
  isTls: false,
  username: undefined,
  password: undefined,
  database: 0,
};

describe('the URL of an engine', () => {
  const understood: [string, object, string][] = [
    ['redis://10.0.0.5', {}, '10.0.0.5:6379'],
    ['redis://10.0.0.5:7000/3', { hosts: [{ host: '10.0.0.5', port: 7000 }], database: 3 }, '10.0.0.5:7000'],
    ['rediss://10.0.0.5', { isTls: true }, '10.0.0.5:6379'],
    ['valkey://10.0.0.5', {}, '10.0.0.5:6379'],
    ['valkeys://10.0.0.5', { isTls: true }, '10.0.0.5:6379'],
    ['redis://onepull:p%40ss%3A@10.0.0.5', { username: 'onepull', password: 'p@ss:' }, '10.0.0.5:6379'],
    ['redis://:secret@10.0.0.5', { password: 'secret' }, '10.0.0.5:6379'],
    ['redis://[2001:db8::5]:7000', { hosts: [{ host: '2001:db8::5', port: 7000 }] }, '[2001:db8::5]:7000'],
    [
      'redis+sentinel://a,b:26380/mymaster/2',
      {
        kind: 'sentinel',
        hosts: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 26380 },
        ],
        master: 'mymaster',
        database: 2,
      },
      'sentinel a:26379,b:26380/mymaster',
    ],
    [
      'rediss+cluster://a:7000,b',
      {
        kind: 'cluster',
        hosts: [
          { host: 'a', port: 7000 },
          { host: 'b', port: 6379 },
        ],
        isTls: true,
      },
      'cluster a:7000,b:6379',
    ],
  ];
  for (const [url, told, name] of understood) {
    it(`is understood: ${url}`, () => {
      const address = engineAddress(url);
      assert.ok(typeof address !== 'string', String(address));
      assert.deepEqual(address, { ...plain, ...told });
      assert.equal(engineName(address), name);
    });
  }

  const wrong: [string, RegExp][] = [
    ['10.0.0.5:6379', /not a URL/],
    ['http://10.0.0.5', /not a URL/],
    ['redis://a,b', /several hosts/],
    ['redis://a:99999', /host that is none/],
    ['redis://a/x', /number of a database/],
    ['redis+sentinel://a', /lacks the name/],
    ['redis+cluster://a/1', /only one/],
  ];
  for (const [url, problem] of wrong) {
    it(`is refused with what is wrong: ${url}`, () => assert.match(String(engineAddress(url)), problem));
  }
});
