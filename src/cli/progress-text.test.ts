import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layerLine } from './progress-text.ts';

const style = { hasUnicode: true };
const digest = `sha256:8a1e25ce7c4f${'0'.repeat(52)}`;

function lineFor(changes: object, columns: number): string {
  const layer = { digest, sizeBytes: 100 * 2 ** 20, filledBytes: 43 * 2 ** 20, state: 'pulling', ...changes };
  return layerLine(layer, undefined, columns, style)
    .map(({ text }) => text)
    .join('')
    .trimEnd();
}

test('the reason why a layer waits is whole on 80 columns: where there is no room beside its bar, without that', () => {
  const waits = (waitingFor: string) => lineFor({ state: 'waiting', waitingFor }, 80);
  assert.match(waits('a turn'), /^ {2}8a1e25ce7c4f {2}█+░+ +43\.0 MiB of 100\.0 MiB {2}waiting for a turn$/);
  const reason = 'docker.io asked for a rest: 1m 00s left';
  assert.equal(waits(reason), `  8a1e25ce7c4f  waiting for ${reason}`);
  assert.match(lineFor({ state: 'waiting', waitingFor: reason }, 140), /█+░+ .*waiting for docker\.io asked .* left$/);
});

test('a layer that comes keeps its bar, and one that failed says why in its place', () => {
  assert.match(lineFor({ waiters: 1234 }, 80), /^ {2}8a1e25ce7c4f {2}█+░+ /);
  const error = 'upstream docker.io does not know the blob';
  assert.equal(lineFor({ state: 'failed', error }, 80), `  8a1e25ce7c4f  ${error}`);
});
