import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shortenedImage } from './image-name.ts';

const digest = `sha256:8a1e25ce7c4f${'0'.repeat(52)}`;

for (const [why, image, shown] of [
  [
    'first the registry',
    'registry.internal.example:5000/team/app:1.29.4-alpine',
    {
      53: 'registry.internal.example:5000/team/app:1.29.4-alpine',
      40: 'registry.interna…/team/app:1.29.4-alpine',
      26: '…/team/app:1.29.4-alpine',
      20: '…m/app:1.29.4-alpine',
      16: 'app:1.….4-alpine',
    },
  ],
  [
    'of a long tag all, while the repository still has its last word',
    'docker.io/library/nginx:2026.11.23-999-g0123456789abcdef',
    {
      53: 'docke…/library/nginx:2026.11.23-999-g0123456789abcdef',
      40: '…/nginx:2026.11.23-999-g0123456789abcdef',
      28: 'nginx:2026…g0123456789abcdef',
    },
  ],
  [
    'a digest before all else, down to the letters by which people tell them apart',
    `ghcr.io/org/app@${digest}`,
    {
      60: 'ghcr.io/org/app@sha256:8a1e25ce7c4f000000000000000000000000…',
      36: 'ghcr.io/org/app@sha256:8a1e25ce7c4f…',
      32: '…/org/app@sha256:8a1e25ce7c4f…',
      24: 'app@sha256:8a1e25ce7c4f…',
    },
  ],
  ['beside a tag, too', `a.example/b:1@${digest}`, { 32: 'a.exam…/b:1@sha256:8a1e25ce7c4f…' }],
  ['a first word that is no registry is a part of the repository', 'very/long/name:1', { 12: '…long/name:1' }],
] as const) {
  test(`a name is shortened where it tells least: ${why}`, () => {
    for (const [columns, text] of Object.entries(shown)) {
      assert.equal(shortenedImage(image, Number(columns), { hasUnicode: true }), text);
    }
    for (let columns = 1; columns < 100; columns++) {
      for (const hasUnicode of [true, false]) {
        assert.ok(shortenedImage(image, columns, { hasUnicode }).length <= columns, `${image} in ${columns}`);
      }
    }
  });
}
