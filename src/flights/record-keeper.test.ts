import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestOf } from '../core/digest.ts';
import { VirtualClock } from '../core/testing/virtual-clock.ts';
import { FillBody } from './fill-body.ts';
import { RecordKeeper } from './record-keeper.ts';

const mebibyte = 1024 * 1024;

/** A keeper of a large body, the records that it wrote, and how bytes come. */
function setUp() {
  const clock = new VirtualClock();
  const recorded: number[] = [];
  const body = new FillBody(
    {
      view: { kind: 'memory', bytes: new Uint8Array() },
      resumed: { filled: [], sizeBytes: 100 * mebibyte },
      async write() {},
      async record(filled) {
        recorded.push(filled.reduce((sum, { start, end }) => sum + end - start, 0));
      },
      async commit() {},
      async discard() {},
      hold: () => () => {},
      async close() {},
    },
    { digest: digestOf(new Uint8Array()), sizeBytes: 100 * mebibyte, holdBackBytes: 0, verified: true },
  );
  const keeper = new RecordKeeper(body, clock);
  let bytes = 0;
  const wrote = (more: number) => {
    body.filled.add(bytes, bytes + more);
    bytes += more;
    keeper.wrote(more);
  };
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 100) {
      clock.advance(100);
      await keeper.idle();
    }
  };
  return { clock, keeper, recorded, wrote, pass };
}

test('what comes fast is recorded twice a second, and each 16 MiB', async () => {
  const { clock, keeper, recorded, wrote, pass } = setUp();
  wrote(mebibyte);
  await pass(400);
  assert.deepEqual(recorded, []);
  await pass(100);
  assert.deepEqual(recorded, [mebibyte]);
  wrote(16 * mebibyte);
  await keeper.idle();
  assert.deepEqual(recorded, [mebibyte, 17 * mebibyte]);
  await keeper.last();
  assert.equal(clock.pending, 0);
});

test('a little is not worth a file twice a second, but one each five seconds', async () => {
  const { clock, keeper, recorded, wrote, pass } = setUp();
  for (let second = 0; second < 10; second++) {
    wrote(2048);
    await pass(1000);
  }
  assert.deepEqual(recorded, [5 * 2048, 10 * 2048]);
  wrote(2048);
  await keeper.last();
  assert.equal(recorded.at(-1), 11 * 2048, 'an end in good order loses nothing');
  await pass(10_000);
  assert.deepEqual([recorded.length, clock.pending], [3, 0]);
});

test('a little becomes enough', async () => {
  const { keeper, recorded, wrote, pass } = setUp();
  wrote(40_000);
  await pass(1000);
  assert.deepEqual(recorded, []);
  wrote(40_000);
  await pass(500);
  assert.deepEqual(recorded, [80_000]);
  keeper.stop();
});

test('where a feed starts somewhere new is recorded before its first byte', async () => {
  const { keeper, recorded } = setUp();
  await keeper.begin(50 * mebibyte);
  assert.deepEqual(recorded, [0]);
  keeper.stop();
});
