import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { BufferPool } from './buffer-pool.ts';
import { type LentBlock, SharedReads } from './shared-reads.ts';

const content = Buffer.from('0123456789');

describe('reads of files', () => {
  const path = join(tmpdir(), `onepull-reads-${process.pid}`);
  let fd = -1;

  before(() => {
    writeFileSync(path, content);
    fd = openSync(path, 'r');
  });

  after(() => {
    closeSync(fd);
    rmSync(path);
  });

  function read(reads: SharedReads, offset: number, maxBytes: number): Promise<LentBlock> {
    return new Promise((resolve, reject) => {
      reads.read(fd, offset, maxBytes, (error, block) => (block === undefined ? reject(error) : resolve(block)));
    });
  }

  const text = ({ bytes }: LentBlock) => Buffer.from(bytes).toString();

  it('are one for all who ask for the same bytes at the same time', async () => {
    const pool = new BufferPool();
    const reads = new SharedReads(pool);
    const blocks = await Promise.all([read(reads, 2, 5), read(reads, 2, 5), read(reads, 2, 9)]);
    assert.deepEqual(blocks.map(text), ['23456', '23456', '23456']);
    assert.equal(new Set(blocks).size, 1);
    assert.equal(pool.lent, 1);
    blocks[0]?.release();
    blocks[1]?.release();
    assert.equal(pool.lent, 1, 'one still uses it');
    blocks[2]?.release();
    assert.equal(pool.lent, 0);
  });

  it('give nobody more than it asked for', async () => {
    const reads = new SharedReads(new BufferPool());
    const [long, short] = await Promise.all([read(reads, 0, 8), read(reads, 0, 3)]);
    assert.deepEqual([text(long), text(short)], ['01234567', '012']);
  });

  it('are new ones once the last is over', async () => {
    const reads = new SharedReads(new BufferPool());
    const first = await read(reads, 0, 4);
    const second = await read(reads, 0, 4);
    assert.notEqual(first, second);
    assert.equal(text(second), '0123');
  });

  it('of a window are copies that stay as they are, of as much as was asked for', () => {
    const pool = new BufferPool();
    const reads = new SharedReads(pool);
    const passing = Buffer.from(content);
    const window = { read: (offset: number, into: Uint8Array) => passing.copy(into, 0, offset) };
    const [short, long] = [reads.copy(window, 2, 4), reads.copy(window, 6, 100_000)];
    passing.fill('x');
    assert.deepEqual([text(short), text(long)], ['2345', '6789']);
    short.release();
    long.release();
    assert.equal(pool.lent, 0);
    const fail = () => {
      throw new Error('gone');
    };
    assert.throws(() => reads.copy({ read: fail }, 0, 10), /gone/);
    assert.equal(pool.lent, 0);
  });

  it('end with the file', async () => {
    const reads = new SharedReads(new BufferPool());
    assert.equal((await read(reads, 10, 4)).bytes.length, 0);
    assert.equal(text(await read(reads, 8, 4)), '89');
  });

  it('that fail tell everybody and keep no block', async () => {
    const pool = new BufferPool();
    const reads = new SharedReads(pool);
    const failures: unknown[] = [];
    await new Promise<void>((resolve) => {
      for (let reader = 0; reader < 2; reader++) {
        reads.read(8000, 0, 4, (error) => {
          failures.push((error as NodeJS.ErrnoException).code);
          if (failures.length === 2) resolve();
        });
      }
    });
    assert.deepEqual(failures, ['EBADF', 'EBADF']);
    assert.equal(pool.lent, 0);
  });
});
