import assert from 'node:assert/strict';
import { open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tempFolder } from '../testing/temp-folder.ts';
import { replaceFile, writeFully } from './file-io.ts';
import { nodeDisk } from './node-disk.ts';
import { storageError } from './storage-error.ts';

describe('writing', () => {
  it('goes on after a short write', async () => {
    const written: [number, number, number][] = [];
    const file = {
      async write(_bytes: Uint8Array, offset: number, length: number, position: number) {
        written.push([offset, length, position]);
        return { bytesWritten: Math.min(length, 4) };
      },
    };
    await writeFully(file, new Uint8Array(10), 100);
    assert.deepEqual(written, [
      [0, 10, 100],
      [4, 6, 104],
      [8, 2, 108],
    ]);
  });

  it('fails rather than waits on a disk that takes nothing', async () => {
    const file = { write: async () => ({ bytesWritten: 0 }) };
    await assert.rejects(writeFully(file, new Uint8Array(1), 0), { code: 'STORAGE_FAILED' });
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
