import assert from 'node:assert/strict';
import { ftruncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError } from '../core/errors.ts';
import type { Room } from '../store/content-store.ts';
import type { FlightEvent, PassThroughEvent } from '../telemetry/channels.ts';
import { maxKeptBytes, PullWorld, type ReadOptions } from './testing/pull-world.ts';
import { testImage } from './testing/test-image.ts';

const image = testImage(1, 12_000);
const { digest, bytes } = image.layer;
const size = bytes.length;
const full = new AppError('STORAGE_FULL', 'no space left on device');
const failed = new AppError('STORAGE_FAILED', 'input/output error');

describe('a blob that the disk cannot take', () => {
  let world: PullWorld;
  let passed: PassThroughEvent['cause'][];
  let events: FlightEvent[];

  async function setUp(options: ConstructorParameters<typeof PullWorld>[0] = {}): Promise<void> {
    await world?.[Symbol.asyncDispose]();
    world = new PullWorld(options);
    passed = [];
    events = [];
    world.channels.passThrough.subscribe(({ cause }) => passed.push(cause));
    world.channels.flight.subscribe((event) => events.push(event));
    world.hub.push('library/app', 'latest', image);
    world.hub.chunkBytes = 500;
    await world.soon(world.manifest('latest'));
    world.hub.calls.length = 0;
  }

  beforeEach(() => setUp());
  afterEach(() => world[Symbol.asyncDispose]());

  const hasRoom = (room: Room) => {
    world.store.makeRoom = async () => room;
  };
  const pull = async (options: ReadOptions & { range?: string } = {}) =>
    world.bytesOf(await world.soon(world.blob(digest, options)), options);
  const fetches = () => world.hub.count('GET blob');

  async function assertGone(): Promise<void> {
    await world.soon(world.quiet());
    world.assertNothingLeft();
  }

  for (const room of ['too-large', 'disk-full', 'cache-in-use', 'disk-failed'] as const) {
    it(`because it is ${room} is passed to all who ask, by one request, and not kept`, async () => {
      hasRoom(room);
      const answers = await world.soon(Promise.all(Array.from({ length: 50 }, () => world.blob(digest))));
      const bodies = await Promise.all(answers.map((answer) => world.bytesOf(answer)));
      assert.ok(bodies.every((body) => body.equals(bytes)));
      assert.deepEqual([fetches(), passed], [1, [room]]);
      assert.deepEqual(answers.map((answer) => answer.kind === 'body' && answer.served).slice(0, 2), ['led', 'joined']);
      assert.equal(await world.store.sizeOf(digest), undefined);
      await assertGone();
    });
  }

  it('because it is larger than the cache is passed without trying', async () => {
    await setUp({ windowBytes: 160_000, totalBytes: 640_000 });
    const vast = testImage(3, maxKeptBytes + 1);
    world.hub.push('library/app', 'vast', vast);
    world.hub.chunkBytes = 5000;
    await world.soon(world.manifest('vast'));
    const answers = await world.soon(Promise.all(Array.from({ length: 5 }, () => world.blob(vast.layer.digest))));
    const bodies = await Promise.all(answers.map((answer) => world.bytesOf(answer)));
    assert.ok(bodies.every((body) => body.equals(vast.layer.bytes)));
    assert.deepEqual([fetches(), passed], [1, ['too-large']]);
    assert.deepEqual(new Set(events.map(({ event }) => event)), new Set(['started', 'passed']));
    await assertGone();
  });

  it('is passed in parts', async () => {
    hasRoom('too-large');
    for (const [range, start, end] of [
      ['bytes=3000-4999', 3000, 5000],
      ['bytes=11950-', 11_950, size],
      ['bytes=-20', size - 20, size],
    ] as const) {
      assert.ok((await pull({ range })).equals(bytes.subarray(start, end)), range);
    }
    const beyond = await world.soon(world.blob(digest, { range: 'bytes=20000-' }));
    assert.deepEqual(beyond, { kind: 'unsatisfiable', sizeBytes: size });
    await assertGone();
  });

  it('is passed in parts also where only upstream knows its size', async () => {
    const scope = world.scope('library/sizeless');
    world.catalog.link(scope, [{ digest, sizeBytes: undefined, mediaType: undefined }]);
    world.hub.pushBlob('library/sizeless', digest, bytes);
    world.store.openPartial = async () => {
      throw full;
    };
    const answer = await world.soon(world.blob(digest, { scope, range: 'bytes=100-199' }));
    assert.ok((await world.bytesOf(answer)).equals(bytes.subarray(100, 200)));
    assert.deepEqual(passed, ['disk-full']);
    await assertGone();
  });

  it('is kept once there is room again', async () => {
    hasRoom('disk-full');
    await pull();
    hasRoom('enough');
    world.clock.advance(1000);
    assert.ok((await pull()).equals(bytes));
    await world.soon(world.quiet());
    assert.equal(await world.store.sizeOf(digest), size);
    await assertGone();
  });

  it('is shown while it is passed, and as done afterwards', async () => {
    hasRoom('too-large');
    const gate = Promise.withResolvers<void>();
    world.hub.beforeChunk = (offset) => (offset === 5000 ? gate.promise : undefined);
    const pulling = pull();
    await world.quiet();
    const [during] = await world.board.snapshots();
    assert.deepEqual([during?.layers[1]?.state, during?.layers[1]?.filledBytes], ['pulling', 5000]);
    gate.resolve();
    await world.soon(pulling);
    const [after] = await world.board.snapshots();
    assert.deepEqual([after?.layers[1]?.state, after?.upstreamBytes], ['done', size]);
  });

  it('is refused for a moment where no memory is left, and told as it is where passing is off', async () => {
    await setUp({ totalBytes: 1600, windowBytes: 1600 });
    const [one, two] = [testImage(3, maxKeptBytes + 1), testImage(4, maxKeptBytes + 1)];
    for (const [tag, vast] of Object.entries({ one, two })) {
      world.hub.push('library/app', tag, vast);
      await world.soon(world.manifest(tag));
    }
    const first = await world.soon(world.blob(one.layer.digest));
    await assert.rejects(world.soon(world.blob(two.layer.digest)), { code: 'OVERLOADED', status: 503 });
    hasRoom('disk-full');
    await assert.rejects(pull(), { code: 'OVERLOADED', status: 503 });
    assert.ok((await world.bytesOf(first)).equals(one.layer.bytes));
    const second = await world.soon(world.blob(two.layer.digest));
    assert.ok((await world.bytesOf(second)).equals(two.layer.bytes));
    await assertGone();

    await setUp({ totalBytes: 0 });
    hasRoom('too-large');
    await assert.rejects(pull(), { code: 'STORAGE_FULL', status: 503 });
    await assert.rejects(pull(), { code: 'STORAGE_FULL', status: 503 });
    assert.deepEqual(passed, []);
    await assertGone();
  });

  it('is told as upstream says where upstream fails', async () => {
    hasRoom('too-large');
    world.hub.before = (call) => {
      if (call.startsWith('GET blob')) throw new AppError('UPSTREAM_DENIED', 'not for you');
    };
    for (let n = 0; n < 3; n++) await assert.rejects(pull(), { code: 'UPSTREAM_DENIED' });
    assert.equal(fetches(), 1);
    await assertGone();
  });

  it('needs no disk while it is small', async () => {
    hasRoom('disk-full');
    world.store.failPuts = full;
    const { config } = image;
    const answers = await world.soon(Promise.all(Array.from({ length: 5 }, () => world.blob(config.digest))));
    for (const answer of answers) assert.ok((await world.bytesOf(answer)).equals(config.bytes));
    assert.deepEqual([fetches(), passed], [1, []]);
    await assertGone();
  });

  it('because it cannot be opened is passed', async () => {
    world.store.openPartial = async () => {
      throw failed;
    };
    assert.ok((await pull()).equals(bytes));
    assert.deepEqual(passed, ['disk-failed']);
    await assertGone();
  });

  it('because nothing can be opened is passed, and described', async () => {
    world.store.open = async () => {
      throw failed;
    };
    world.store.sizeOf = async () => {
      throw failed;
    };
    assert.ok((await pull()).equals(bytes));
    assert.deepEqual([passed, fetches()], [['disk-failed'], 1]);
    const answer = await world.soon(world.blob(digest, { method: 'HEAD' }));
    assert.ok(answer.kind === 'head');
    assert.equal(answer.sizeBytes, size);
    await assertGone();
  });

  it('after some of it was written goes on where each of its readers is, and nobody notices', async () => {
    for (const error of [full, failed]) {
      await setUp();
      const gate = Promise.withResolvers<void>();
      world.hub.beforeChunk = (offset) => (offset === 6000 ? gate.promise : undefined);
      const ranges = [undefined, undefined, undefined, 'bytes=1000-3999', 'bytes=2000-', 'bytes=5000-7999', 'bytes=0-'];
      const paces = [10_000, 700, 100, 300, 400, 10_000, 900];
      const answers = await world.soon(
        Promise.all(ranges.map((range) => world.blob(digest, range === undefined ? {} : { range }))),
      );
      await world.quiet();
      const first = answers.map(async (answer, n) => world.bytesOf(answer, { mostBytes: paces[n] ?? 1 }));
      await world.quiet();
      const before = fetches();
      world.store.failWrites = error;
      gate.resolve();
      const bodies = await Promise.all(first);
      for (const [n, body] of bodies.entries()) {
        const [start = 0, last = size - 1] = (ranges[n]?.match(/\d+/g) ?? []).map(Number);
        assert.ok(body.equals(bytes.subarray(start, last + 1)), `${ranges[n]}`);
      }
      assert.deepEqual(new Set(passed), new Set([error === full ? 'disk-full' : 'disk-failed']));
      // Whoever is not near another one goes on by itself; who had all of its part on disk needs nothing.
      assert.ok(fetches() - before <= 6, `${fetches() - before} more requests`);
      world.store.failWrites = undefined;
      await assertGone();
    }
  });

  it('is read to where it was written before more is asked for', async () => {
    const asked: number[] = [];
    const gate = Promise.withResolvers<void>();
    world.hub.beforeChunk = (offset) => {
      asked.push(offset);
      return offset === 6000 ? gate.promise : undefined;
    };
    const onBlock = async (offset: number) => {
      if (offset !== 1000) return;
      world.store.failWrites = full;
      gate.resolve();
      await world.quiet();
      asked.length = 0;
    };
    assert.ok((await pull({ mostBytes: 1000, onBlock })).equals(bytes));
    assert.deepEqual(asked, [6000, 6500, 7000, 7500, 8000, 8500, 9000, 9500, 10_000, 10_500, 11_000, 11_500]);
    world.store.failWrites = undefined;
    await assertGone();
  });

  it('of which a reader had some that turns out wrong is cut', async () => {
    const wrong = Buffer.from(bytes);
    wrong[10] = (wrong[10] ?? 0) ^ 1;
    world.hub.pushBlob('library/app', digest, wrong);
    const gate = Promise.withResolvers<void>();
    world.hub.beforeChunk = (offset) => (offset === 6000 ? gate.promise : undefined);
    const onBlock = () => {
      world.store.failWrites = full;
      world.hub.pushBlob('library/app', digest, bytes);
      gate.resolve();
    };
    await assert.rejects(pull({ onBlock }), { code: 'CONTENT_MISMATCH' });
    world.store.failWrites = undefined;
    assert.ok((await pull()).equals(bytes));
    await assertGone();
  });

  it('of which what was handed out cannot be read any more is cut', async () => {
    const gate = Promise.withResolvers<void>();
    world.hub.beforeChunk = (offset) => (offset === 6000 ? gate.promise : undefined);
    const answer = await world.soon(world.blob(digest));
    const onBlock = (offset: number) => {
      assert.ok(answer.kind === 'body');
      if (offset < 6000 || answer.body.storage.kind !== 'file') return;
      ftruncateSync(answer.body.storage.fd, 0);
      world.store.failWrites = failed;
      gate.resolve();
    };
    await assert.rejects(world.bytesOf(answer, { onBlock }), { code: 'STORAGE_FAILED' });
    world.store.failWrites = undefined;
    await assertGone();
  });

  it('is left alone when its reader leaves while it changes over', async () => {
    const gate = Promise.withResolvers<void>();
    world.hub.beforeChunk = (offset) => (offset === 6000 ? gate.promise : undefined);
    const answer = await world.soon(world.blob(digest));
    assert.ok(answer.kind === 'body');
    const { body } = answer;
    await world.quiet();
    assert.equal(body.readableTo(0), 6000);
    world.store.failWrites = full;
    gate.resolve();
    await world.quiet();
    const waiting = body.whenReadable(6000, world.never);
    body.close();
    await assert.rejects(world.soon(waiting), { code: 'CANCELLED' });
    world.store.failWrites = undefined;
    await assertGone();
  });
});
