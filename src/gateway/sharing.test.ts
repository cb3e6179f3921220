import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { open } from './testing/test-client.ts';
import type { TestContent } from './testing/test-content.ts';
import { TestGateway } from './testing/test-gateway.ts';

/** mulberry32: the same numbers for the same seed. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below;
  };
}

/** Asks for a random part, reads it, perhaps leaves on the way; checks every byte that came. */
async function oneClient(gateway: TestGateway, blob: TestContent, random: (below: number) => number): Promise<boolean> {
  const size = blob.bytes.length;
  const start = random(2) < 1 ? 0 : Math.floor(random(size));
  const end = random(2) < 1 ? size : start + 1 + Math.floor(random(size - start));
  const leavesAfter = random(3) < 1 ? random(end - start) : undefined;
  const headers = { range: `bytes=${start}-${end - 1}` };
  const answer = (await open(gateway.port, `/v2/a/blobs/${blob.digest}`, { headers })).read();
  if (leavesAfter !== undefined) {
    await answer.has(leavesAfter);
    answer.leave();
  }
  const complete = await answer.over;
  const expected = blob.bytes.subarray(start, start + answer.body.length);
  assert.ok(answer.body.equals(expected), 'bytes of someone else');
  if (leavesAfter === undefined) assert.equal(answer.body.length, end - start);
  return complete;
}

describe('many clients of several fills', () => {
  const seed = randomInt(2 ** 31);

  it(`each get their own bytes, whoever leaves (seed ${seed})`, async () => {
    const random = numbers(seed);
    await using gateway = await TestGateway.start();
    const blobs = [1, 2, 3].map((tint) => {
      const bytes = Buffer.alloc(3_000_000);
      for (let index = 0; index + 4 <= bytes.length; index += 4) bytes.writeUInt32LE(index + tint, index);
      return { content: gateway.content(bytes, { filled: 0 }), left: bytes.length };
    });
    const clients = Array.from({ length: 90 }, (_, index) => {
      const blob = blobs[index % blobs.length];
      assert.ok(blob);
      return oneClient(gateway, blob.content, random);
    });
    while (blobs.some((blob) => blob.left > 0)) {
      for (const blob of blobs) {
        const bytes = Math.min(blob.left, 1 + Math.floor(random(200_000)));
        blob.content.grow(bytes);
        blob.left -= bytes;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    const complete = await Promise.all(clients);
    assert.ok(complete.filter(Boolean).length > 30);
    await gateway.event(clients.length - 1);
  });
});
