import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import { sampleBytes } from '../../store/testing/sample-content.ts';
import { ScriptedSource } from '../testing/scripted-source.ts';
import { type PassedClient, PassingWorld } from './testing/passing-world.ts';

const content = sampleBytes(1, 40_000);
const digest = digestOf(content);

const upstream = (name = 'a', bytes: Uint8Array = content) => new ScriptedSource(name, bytes);

function assertWhole(client: PassedClient): void {
  assert.equal(client.outcome, 'complete');
  assert.ok(client.bytes.equals(content), 'wrong bytes');
}

describe('the memory for passing', () => {
  const blobs = Array.from({ length: 30 }, (_, n) => sampleBytes(100 + n, 30_000));

  it('is never exceeded: a new blob that does not fit is refused, and fits when others are through', async () => {
    const world = new PassingWorld(digest);
    const sources: ScriptedSource[] = [];
    let refused = 0;
    for (const bytes of blobs) {
      const source = upstream('a', bytes);
      try {
        world.join(source, { digest: digestOf(bytes) });
        sources.push(source);
      } catch (error) {
        assert.ok(error instanceof AppError);
        assert.deepEqual([error.code, error.status, error.retryAfterMs], ['OVERLOADED', 503, 1000]);
        refused++;
      }
      assert.ok(world.table.memoryBytes <= 64_000);
    }
    assert.ok(refused > 0 && sources.length > 8, `${sources.length} fit`);
    assert.deepEqual(
      world.refused,
      Array.from({ length: refused }, () => 'pass-through'),
    );
    await world.flow(sources);
    for (const client of world.clients) assert.equal(client.outcome, 'complete');
    world.assertNothingLeft();
    const last = upstream('a', blobs.at(-1));
    world.join(last, { digest: digestOf(blobs.at(-1) ?? content) });
    await world.flow(last);
    assert.equal(world.clients.at(-1)?.outcome, 'complete');
    world.assertNothingLeft();
  });

  it('is waited for by those in the middle of a body', async () => {
    const world = new PassingWorld(digest, { totalBytes: 8000 });
    const source = upstream();
    const slow = world.join(source);
    const fast = world.join(source);
    slow.isGreedy = false;
    await world.quiet();
    source.asking[0]?.answer();
    for (let turn = 0; fast.position < 20_000 && turn < 500; turn++) {
      await world.quiet();
      source.awaited[0]?.deliver(400);
      fast.read(400);
    }
    fast.isGreedy = false;
    const others = [upstream('b', blobs[0]), upstream('b', blobs[1])];
    for (const [n, bytes] of [blobs[0], blobs[1]].entries()) {
      try {
        world.join(others[n] as ScriptedSource, { digest: digestOf(bytes ?? content) });
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === 'OVERLOADED');
      }
    }
    slow.read(1);
    await world.quiet();
    assert.ok(slow.isFollowing);
    await world.flow([source, ...others]);
    assertWhole(slow);
    assertWhole(fast);
    world.assertNothingLeft();
  });
});
