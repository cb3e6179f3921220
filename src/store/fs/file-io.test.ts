import assert from 'node:assert/strict';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sampleBytes } from '../testing/sample-content.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { replaceFile, writeFully } from './file-io.ts';
import { nodeDisk } from './node-disk.ts';
import { storageError } from './storage-error.ts';

const notWritten = async () => assert.fail('one piece is not written as several');

describe('writing', () => {
  it('goes on after a short write', async () => {
    const written: [number, number, number][] = [];
    const file = {
      async write(_bytes: Uint8Array, offset: number, length: number, position: number) {
        written.push([offset, length, position]);
        return { bytesWritten: Math.min(length, 4) };
      },
      writev: notWritten,
    };
    await writeFully(file, new Uint8Array(10), 100);
    assert.deepEqual(written, [
      [0, 10, 100],
      [4, 6, 104],
      [8, 2, 108],
    ]);
  });

  it('goes on where a write of several pieces fell short, wherever that is', async () => {
    const pieces = [3, 0, 5, 1, 4].map((length, at) => sampleBytes(at, length));
    const whole = Buffer.concat(pieces);
    for (let most = 1; most <= whole.length; most++) {
      const there = Buffer.alloc(whole.length);
      let calls = 0;
      const take = (bytes: Uint8Array, position: number) => {
        calls++;
        there.set(bytes.subarray(0, most), position - 100);
        return { bytesWritten: Math.min(bytes.length, most) };
      };
      const file = {
        write: async (bytes: Uint8Array, offset: number, length: number, position: number) =>
          take(bytes.subarray(offset, offset + length), position),
        writev: async (given: Uint8Array[], position: number) => take(Buffer.concat(given), position),
      };
      await writeFully(file, pieces, 100);
      assert.deepEqual(there, whole, `${most} bytes at a time`);
      assert.equal(calls, Math.ceil(whole.length / most));
    }
  });

  it('fails rather than waits on a disk that takes nothing', async () => {
    const nothing = async () => ({ bytesWritten: 0 });
    const file = { write: nothing, writev: nothing };
    await assert.rejects(writeFully(file, new Uint8Array(1), 0), { code: 'STORAGE_FAILED' });
    const pieces = [new Uint8Array(1), new Uint8Array(1)];
    await assert.rejects(writeFully(file, pieces, 0), { code: 'STORAGE_FAILED' });
  });

  it('says that the disk is full where it is', { skip: process.platform !== 'linux' }, async () => {
    const full = await open('/dev/full', 'w');
    await assert.rejects(
      writeFully(full, new Uint8Array(1), 0).catch((error: unknown) => {
        throw storageError(error, 'write content');
      }),
      { code: 'STORAGE_FULL', message: 'cannot write content: no space left on device' },
    );
    await full.close();
  });

  it('a quota that is used up is a full disk, any other failure is not', () => {
    assert.equal(storageError(Object.assign(new Error(), { code: 'EDQUOT' }), 'x').code, 'STORAGE_FULL');
    assert.equal(storageError(Object.assign(new Error(), { code: 'EIO' }), 'x').code, 'STORAGE_FAILED');
  });

  it('a file is replaced whole or stays as it was', async () => {
    await using folder = await tempFolder();
    const path = join(folder.path, 'file');
    await writeFile(path, 'old');
    const broken = replaceFile(
      nodeDisk,
      `${path}.tmp`,
      path,
      async (append) => {
        await append(Buffer.from('ne'));
        throw new Error('interrupted');
      },
      true,
    );
    await assert.rejects(broken, /interrupted/);
    assert.equal(await readFile(path, 'utf8'), 'old');
    await replaceFile(nodeDisk, `${path}.tmp`, path, (append) => append(Buffer.from('new')), true);
    assert.equal(await readFile(path, 'utf8'), 'new');
    assert.deepEqual(await readdir(folder.path), ['file']);
  });
});
