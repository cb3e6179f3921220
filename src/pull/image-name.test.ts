import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseImageName } from './image-name.ts';
import { RegistryNames } from './registry-names.ts';

const names = new RegistryNames(['docker.io', 'ghcr.io', 'localhost:5000'], 'docker.io');
const digest = `sha256:${'a'.repeat(64)}`;

const known: readonly [text: string, name: string][] = [
  ['nginx', 'docker.io/library/nginx:latest'],
  ['nginx:1.29', 'docker.io/library/nginx:1.29'],
  ['library/nginx:1.29', 'docker.io/library/nginx:1.29'],
  ['docker.io/nginx', 'docker.io/library/nginx:latest'],
  ['ghcr.io/org/app:v1', 'ghcr.io/org/app:v1'],
  ['localhost:5000/app', 'localhost:5000/app:latest'],
  ['localhost:5000/app:v1', 'localhost:5000/app:v1'],
  [`ghcr.io/org/app@${digest}`, `ghcr.io/org/app@${digest}`],
  [`ghcr.io/org/app:v1@${digest}`, `ghcr.io/org/app@${digest}`],
];

for (const [text, name] of known) {
  test(`${text} is ${name}`, () => {
    assert.equal(parseImageName(text, names).name, name);
  });
}

const refused: readonly [text: string, code: string][] = [
  ['', 'REQUEST_MALFORMED'],
  [':latest', 'REQUEST_MALFORMED'],
  ['nginx:', 'REQUEST_MALFORMED'],
  ['nginx:no tag', 'REQUEST_MALFORMED'],
  ['nginx@sha256:abc', 'REQUEST_MALFORMED'],
  [`nginx@${digest}@${digest}`, 'REQUEST_MALFORMED'],
  ['https://ghcr.io/org/app', 'REQUEST_MALFORMED'],
  ['NGINX', 'NAME_INVALID'],
  ['unknown.example/app:v1', 'REGISTRY_UNKNOWN'],
];

for (const [text, code] of refused) {
  test(`${JSON.stringify(text)} is refused with ${code}`, () => {
    assert.throws(() => parseImageName(text, names), { code });
  });
}
