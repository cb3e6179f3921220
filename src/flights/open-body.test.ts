import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { AppError } from '../core/errors.ts';
import type { Room } from '../store/content-store.ts';
import { InlineHasher } from '../store/hashing/inline-hasher.ts';
import { MemoryContentStore } from '../store/memory/memory-content-store.ts';
import { openBody } from './open-body.ts';
import { SmallBlobMemory } from './small-blob-memory.ts';

const content = Buffer.alloc(2000, 'content');
const digest = digestOf(content);
const options = { holdBackBytes: 100, smallBlobBytes: 500, hashDirectlyBytes: 0, hashStepBytes: 1 };
const hasher = new InlineHasher();

/** A store that has a set amount of room, and can doubt what it has. */
class DoubtfulStore extends MemoryContentStore {
  room: Room = 'enough';
  proof: Promise<void> | undefined;
  hurried = 0;

  override async makeRoom(): Promise<Room> {
    return this.room;
  }

  override async open(wanted: typeof digest) {
    const blob = await super.open(wanted);
    return blob && { ...blob, proof: this.proof, hurry: () => void this.hurried++ };
  }
}

describe('the body of a flight', () => {
  for (const reason of ['too-large', 'disk-full', 'cache-in-use', 'disk-failed'] as const) {
    const code = reason === 'disk-failed' ? 'STORAGE_FAILED' : 'STORAGE_FULL';
    it(`is refused with the reason where the room is ${reason}`, async () => {
      await using store = new DoubtfulStore();
      store.room = reason;
      await assert.rejects(openBody({ store, hasher }, digest, content.length, options), (error) => {
        assert.ok(error instanceof AppError);
        assert.deepEqual([error.code, error.details], [code, { reason }]);
        return true;
      });
    });
  }

  it('needs no room on disk while it is small', async () => {
    await using store = new DoubtfulStore();
    store.room = 'disk-full';
    const body = await openBody({ store, hasher }, digest, 400, options);
    assert.equal(body.view.kind, 'memory');
  });

  it('is on disk where small blobs have all the memory that they may, until one has been read and closed', async () => {
    await using store = new DoubtfulStore();
    const memory = new SmallBlobMemory(900);
    const deps = { store, hasher, memory };
    const open = (byte: string) => openBody(deps, digestOf(Buffer.alloc(400, byte)), 400, options);
    const [first, second, third] = [await open('a'), await open('b'), await open('c')];
    assert.deepEqual([first.view.kind, second.view.kind, third.view.kind], ['memory', 'memory', 'file']);
    assert.equal(memory.usedBytes, 800);
    const release = first.storage.hold();
    await first.storage.close();
    assert.equal(memory.usedBytes, 800, 'a client reads it');
    release();
    assert.equal(memory.usedBytes, 400);
    const fourth = await open('d');
    assert.equal(fourth.view.kind, 'memory');
    for (const body of [second, third, fourth]) await body.storage.close();
    await first.storage.close();
    assert.equal(memory.usedBytes, 0);
  });

  it('is what the store has once that is proven', async () => {
    await using store = new DoubtfulStore();
    await store.put(digest, content);
    const proof = Promise.withResolvers<void>();
    store.proof = proof.promise;
    let isOpen = false;
    const opening = openBody({ store, hasher }, digest, content.length, options).finally(() => {
      isOpen = true;
    });
    await new Promise(setImmediate);
    assert.equal(isOpen, false);
    assert.equal(store.hurried, 1, 'all who follow wait for it');
    proof.resolve();
    const body = await opening;
    assert.equal(body.verified, true);
    await body.storage.close();
  });

  it('is a new one where what the store has turns out wrong', async () => {
    await using store = new DoubtfulStore();
    await store.put(digest, content);
    store.proof = Promise.reject(new AppError('STORAGE_FAILED', 'damaged'));
    const body = await openBody({ store, hasher }, digest, content.length, options);
    assert.deepEqual([body.verified, body.filled.bytes], [false, 0]);
    await body.storage.close();
  });
});
