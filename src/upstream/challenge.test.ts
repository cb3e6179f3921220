import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChallenges } from './challenge.ts';

function plain(header: string | string[] | undefined) {
  return parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);
}

describe('WWW-Authenticate', () => {
  const cases: [string, string | string[] | undefined, unknown][] = [
    ['none', undefined, []],
    ['empty', '', []],
    [
      "Docker Hub's",
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull"',
      [
        [
          'bearer',
          {
            realm: 'https://auth.docker.io/token',
            service: 'registry.docker.io',
            scope: 'repository:library/nginx:pull',
          },
        ],
      ],
    ],
    [
      'commas inside quotes',
      'Bearer realm="https://r/token", scope="repository:a/b:pull,push,delete", service=plain',
      [['bearer', { realm: 'https://r/token', scope: 'repository:a/b:pull,push,delete', service: 'plain' }]],
    ],
    ['any case, spaces around equals', 'BASIC Realm = "x y"', [['basic', { realm: 'x y' }]]],
    [
      'several challenges in one line',
      'Negotiate, Basic realm="a", Bearer realm="https://r",service="s"',
      [
        ['negotiate', {}],
        ['basic', { realm: 'a' }],
        ['bearer', { realm: 'https://r', service: 's' }],
      ],
    ],
    [
      'several header lines',
      ['Bearer realm="https://r"', 'Basic realm="b"'],
      [
        ['bearer', { realm: 'https://r' }],
        ['basic', { realm: 'b' }],
      ],
    ],
    ['escaped quotes', 'Basic realm="say \\"hi\\" \\\\ now"', [['basic', { realm: 'say "hi" \\ now' }]]],
    ['a quote that never ends', 'Bearer realm="https://r', [['bearer', { realm: 'https://r' }]]],
    [
      'token68 credentials before another challenge',
      'NTLM TlRMTVNTUAAC==, Basic realm="x"',
      [
        ['ntlm', {}],
        ['basic', { realm: 'x' }],
      ],
    ],
    ['the first of two equal parameters', 'Bearer realm="a", realm="b"', [['bearer', { realm: 'a' }]]],
    [
      'unquoted values',
      'Bearer realm=https://r/token,service=s',
      [['bearer', { realm: 'https://r/token', service: 's' }]],
    ],
    ['parameters without a scheme', 'realm="x", service="y"', []],
    ['rubbish before a good one', '"@@", ;;;, Basic realm="x"', [['basic', { realm: 'x' }]]],
    ['empty list members', ', ,Basic realm="x", ,', [['basic', { realm: 'x' }]]],
    ['an empty value', 'Bearer realm="", service=', [['bearer', { realm: '', service: '' }]]],
    ['a one-parameter value that could be token68', 'Bearer realm=abc', [['bearer', { realm: 'abc' }]]],
  ];
  for (const [name, header, expected] of cases) {
    it(`reads ${name}`, () => assert.deepEqual(plain(header), expected));
  }

  it('ends on whatever comes, however long', () => {
    for (const piece of ['"', '\\', '=', ',', ' ', 'a', '"\\', 'a="', 'a=\\']) {
      parseChallenges(piece.repeat(200_000));
    }
  });
});
