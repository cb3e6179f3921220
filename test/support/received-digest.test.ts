import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../../src/core/digest.ts';
import { ReceivedDigest } from './received-digest.ts';

const bytes = Buffer.from('what should arrive');
const expected = { bytes, digest: digestOf(bytes), mediaType: 'text/plain' };

function digestOfParts(...parts: string[]) {
  const received = new ReceivedDigest(expected);
  for (const part of parts) received.update(Buffer.from(part));
  return received.finish();
}

test('comparing with what should arrive gives the digest of what did', () => {
  for (const parts of [
    ['what ', 'should arrive'],
    ['what '],
    ['what ', 'else', ' arrive'],
    [],
    ['what should arrive', '!'],
  ]) {
    assert.equal(digestOfParts(...parts), digestOf(Buffer.from(parts.join(''))), JSON.stringify(parts));
  }
});
