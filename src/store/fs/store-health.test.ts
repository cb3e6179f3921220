import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, asAppError } from '../../core/errors.ts';
import { VirtualClock } from '../../core/testing/virtual-clock.ts';
import { Channels } from '../../telemetry/channels.ts';
import { storageError } from './storage-error.ts';
import { StoreHealth, type Trouble } from './store-health.ts';

const noSpace = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });

function healthOf() {
  const clock = new VirtualClock();
  const channels = new Channels();
  const said: string[] = [];
  const codes: string[] = [];
  const refused: string[] = [];
  const probed: Trouble[] = [];
  const state = { isOver: false };
  channels.notice.subscribe(({ message, error }) => {
    said.push(message);
    if (error !== undefined) codes.push(asAppError(error).code);
  });
  channels.refused.subscribe(({ bound }) => refused.push(bound));
  const probe = async (trouble: Trouble) => {
    probed.push(trouble);
    if (!state.isOver) throw new Error('still there');
  };
  const health = new StoreHealth({ clock, channels, probe });
  return {
    clock,
    said,
    codes,
    refused,
    probed,
    state,
    health,
    [Symbol.asyncDispose]: () => health[Symbol.asyncDispose](),
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe("the store's health", () => {
  it('says what is wrong once, for as long as it is, and when it is over', async () => {
    await using world = healthOf();
    world.health.failed('full', noSpace);
    world.health.failed('full', noSpace);
    assert.deepEqual(world.health.reasons(), ['the disk is full: no space left on device']);
    assert.equal(world.said.length, 1);
    world.health.worked('full');
    assert.deepEqual(world.health.reasons(), []);
    assert.deepEqual(world.said.slice(1), ['it is over that the disk is full']);
    assert.equal(world.clock.pending, 0, 'nothing to probe');
  });

  it('says at most once a minute what comes and goes', async () => {
    await using world = healthOf();
    for (let round = 0; round < 20; round++) {
      world.health.failed('full', noSpace);
      assert.equal(world.health.reasons().length, 1, 'it is known all the same');
      world.health.worked('full');
      world.clock.advance(2000);
    }
    assert.equal(world.said.length, 2);
    world.clock.advance(60_000);
    world.health.failed('full', noSpace);
    assert.equal(world.said.length, 3);
  });

  it('tells by its code what was foreseen: INTERNAL is for the rest', async () => {
    const readOnly = Object.assign(new Error('EROFS: read-only file system, open'), { code: 'EROFS' });
    const sqlite = (errcode: number) =>
      Object.assign(new Error('database trouble'), { code: 'ERR_SQLITE_ERROR', errcode });
    const rows: [Trouble, unknown, string][] = [
      ['full', noSpace, 'STORAGE_FULL'],
      ['full', new AppError('STORAGE_FULL', 'there is no room for 6.6 MiB'), 'STORAGE_FULL'],
      ['failing', readOnly, 'STORAGE_FAILED'],
      ['index', noSpace, 'STORAGE_FULL'],
      ['index', readOnly, 'STORAGE_FAILED'],
      ['catalog', sqlite(13), 'STORAGE_FULL'],
      ['catalog', sqlite(778), 'STORAGE_FAILED'],
      ['memory-catalog', sqlite(13), 'STORAGE_FULL'],
      ['index', new TypeError('x is not a function'), 'INTERNAL'],
    ];
    for (const [trouble, error, code] of rows) {
      await using world = healthOf();
      world.health.failed(trouble, error);
      assert.deepEqual(world.codes, [code], `${trouble}: ${error}`);
    }
  });

  it('tries every few seconds whether it is over', async () => {
    await using world = healthOf();
    world.health.failed('catalog', noSpace);
    for (let round = 1; round <= 3; round++) {
      world.clock.advance(10_000);
      await settle();
      assert.equal(world.probed.length, round);
    }
    world.state.isOver = true;
    world.clock.advance(10_000);
    await settle();
    assert.deepEqual(world.health.reasons(), []);
    assert.equal(world.clock.pending, 0);
  });

  it('tells a full disk, one that fails, too few descriptors and our own bounds apart', async () => {
    await using world = healthOf();
    const note = (code: string) =>
      world.health.noteFailure(storageError(Object.assign(new Error(`${code}: it failed, write`), { code }), 'write'));
    world.health.noteFailure(new AppError('STORAGE_FULL', 'larger than the cache'));
    world.health.noteFailure(new AppError('STORAGE_FAILED', 'shorter than it was'));
    note('EMFILE');
    note('ENFILE');
    assert.deepEqual(world.health.reasons(), []);
    assert.deepEqual(world.refused, ['descriptors', 'descriptors']);
    note('EDQUOT');
    note('EIO');
    assert.deepEqual(world.health.reasons(), ['the disk is full: it failed', 'the disk fails: it failed']);
    world.health.noteWrite();
    assert.deepEqual(world.health.reasons(), ['the disk is full: it failed'], 'a full disk may take some bytes');
  });
});
