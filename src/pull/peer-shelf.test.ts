import assert from 'node:assert/strict';
import { it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import type { FlightReader } from '../flights/flight-reader.ts';
import { FlightWorld } from '../flights/testing/flight-world.ts';
import { ScriptedSource } from '../flights/testing/scripted-source.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { sampleBytes } from '../store/testing/sample-content.ts';
import { PeerShelf } from './peer-shelf.ts';

const content = sampleBytes(5, 10_000);
const digest = digestOf(content);

it('a flight knows of a node that reads what comes, to pass it on', async () => {
  await using store = new MemoryContentStore();
  const world = new FlightWorld(store, digest);
  const source = new ScriptedSource('upstream', content);
  const client = await world.join(source, content.length);
  const followed: FlightReader[] = [];
  const follow: typeof world.table.follow = (...args) => {
    const reader = world.table.follow(...args);
    if (reader !== undefined) followed.push(reader);
    return reader;
  };
  const shelf = new PeerShelf({ store, flights: { follow } }, { holdBackBytes: 100 });
  await world.quiet();
  const answer = await shelf.blob(digest, undefined, new AbortController().signal);
  assert.deepEqual(
    followed.map(({ passesOn }) => passesOn),
    [true],
  );
  if (answer?.kind === 'body') answer.body.close();
  source.asking[0]?.answer();
  await world.quiet();
  source.awaited[0]?.deliver(content.length);
  await world.quiet();
  client.leave();
  world.assertNothingLeft();
});
