import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { sampleDigest } from '../testing/sample-content.ts';
import { AccessTimes } from './catalog-access-times.ts';
import { BlobTable } from './catalog-blobs.ts';
import { CatalogDatabase } from './catalog-database.ts';
import { SqliteCatalog } from './catalog-sqlite.ts';
import { UseClock } from './use-clock.ts';

/** @param turns takes the timers, for a test that runs them one by one */
function subject(turns?: (() => void)[]) {
  const clock = new VirtualClock();
  const database = new CatalogDatabase(
    ':memory:',
    () => {},
    () => {},
  );
  const stepwise = { now: () => clock.now(), monotonic: () => clock.monotonic(), after: stepwiseTimers(turns) };
  const accessTimes = new AccessTimes({
    clock: turns === undefined ? clock : stepwise,
    useClock: new UseClock({ clock, database }),
    database,
  });
  const catalog = new SqliteCatalog({ clock, database, accessTimes, changed: () => {} });
  const blobs = new BlobTable(database);
  const accessed = (name: string) => blobs.find(sampleDigest(name))?.accessedAtMs;
  const store = (name: string, ...references: string[]) => {
    const digest = sampleDigest(name);
    blobs.add(digest, 1, clock.now());
    if (references.length === 0) return;
    catalog.addManifest({ digest, mediaType: 'x/y', sizeBytes: 1, references: references.map(sampleDigest) });
  };
  return { clock, catalog, accessTimes, accessed, store, [Symbol.dispose]: () => database[Symbol.dispose]() };
}

function stepwiseTimers(turns: (() => void)[] = []) {
  return (_delayMs: number, callback: () => void) => {
    turns.push(callback);
    return { clear: () => void (turns.includes(callback) && turns.splice(turns.indexOf(callback), 1)) };
  };
}

describe('access times', () => {
  it('are written together a few seconds later', () => {
    using it = subject();
    it.store('blob');
    const before = it.clock.now();
    it.clock.advance(1000);
    it.catalog.touch(sampleDigest('blob'));
    it.catalog.touch(sampleDigest('blob'));
    assert.equal(it.clock.pending, 1);
    assert.equal(it.accessed('blob'), before);
    it.clock.advance(5000);
    assert.equal(it.accessed('blob'), before + 1000);
    assert.equal(it.clock.pending, 0);
  });

  it('are written a few in each turn where many gathered, and all at once for who asks', () => {
    const turns: (() => void)[] = [];
    using it = subject(turns);
    const names = Array.from({ length: 1000 }, (_, n) => `blob ${n}`);
    for (const name of names) it.store(name);
    const before = it.clock.now();
    const written = () => names.filter((name) => it.accessed(name) !== before).length;
    it.clock.advance(1);
    for (const name of names) it.catalog.touch(sampleDigest(name));
    for (let last = 0, taken = 0; last < names.length; last = written(), taken++) {
      assert.equal(turns.length, 1, `${last} written after ${taken} turns`);
      turns.shift()?.();
      assert.ok(written() - last <= 80, `${written() - last} in one turn`);
      // What is used all the time is not written all the time.
      it.catalog.touch(sampleDigest('blob 0'));
      assert.ok(taken <= 13);
    }
    it.clock.advance(1);
    for (const name of names) it.catalog.touch(sampleDigest(name));
    it.accessTimes.flush();
    assert.ok(names.every((name) => it.accessed(name) === it.clock.now()));
  });

  it('of a child are those of the manifests above it', () => {
    using it = subject();
    for (const [name, ...references] of [['layer'], ['image', 'layer'], ['index', 'image'], ['other', 'x']] as const) {
      it.store(name, ...references);
    }
    const before = it.clock.now();
    it.clock.advance(1000);
    it.catalog.touch(sampleDigest('layer'));
    it.accessTimes.flush();
    for (const name of ['layer', 'image', 'index']) assert.equal(it.accessed(name), before + 1000, name);
    assert.equal(it.accessed('other'), before);
  });

  it('of a layer that several images share say nothing about these', () => {
    using it = subject();
    it.store('base');
    for (let image = 0; image < 2; image++) it.store(`image-${image}`, 'base');
    const before = it.clock.now();
    it.clock.advance(1000);
    it.catalog.touch(sampleDigest('base'));
    it.accessTimes.flush();
    assert.equal(it.accessed('base'), before + 1000);
    assert.equal(it.accessed('image-0'), before);
  });
});
