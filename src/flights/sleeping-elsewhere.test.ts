import assert from 'node:assert/strict';
import { it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { FlightWorld } from './testing/flight-world.ts';
import { ScriptedSource } from './testing/scripted-source.ts';

it('a reader that waits in another thread, ahead of what comes, has a range opened once it is told of', async () => {
  const content = sampleBytes(1, 10_000);
  await using store = new MemoryContentStore();
  const source = new ScriptedSource('up', content);
  const world = new FlightWorld(store, digestOf(content));
  const { reader } = await world.join(source, content.length);
  await world.quiet();
  source.attempts[0]?.answer();
  await world.quiet();
  source.attempts[0]?.deliver(1000);
  await world.quiet();
  assert.equal(reader.readableTo(0), 1000);
  assert.equal(reader.mark?.readableTo(0), 1000);
  reader.sleepsAt(1000);
  await world.quiet();
  assert.equal(source.attempts.length, 1, 'what comes next is on its way');
  reader.sleepsAt(8000);
  await world.quiet();
  assert.deepEqual(
    source.attempts.map(({ start }) => start),
    [0, 8000],
  );
  reader.close();
  reader.sleepsAt(5000);
  for (const attempt of source.attempts) if (attempt !== source.attempts[0]) attempt.answer();
  await world.quiet();
  for (let turn = 0; turn < 20; turn++) {
    for (const body of source.awaited) body.deliver(100_000);
    await world.quiet();
  }
  assert.equal(source.attempts.length, 2);
  assert.equal(reader.mark?.isVerified, true);
  world.assertNothingLeft();
});
