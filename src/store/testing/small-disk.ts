import { execFile } from 'node:child_process';
import { type FileHandle, open, rm, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { tempFolder } from './temp-folder.ts';

const run = promisify(execFile);

/** For `it(name, { skip: await cannotMount() }, ...)`: false, or what the machine lacks. */
export async function cannotMount(): Promise<string | false> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs root, to mount a disk of its own';
  // In a namespace of its own, so that trying leaves nothing.
  const tried = await run('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).catch(() => undefined);
  return tried === undefined ? 'needs root that may mount' : false;
}

/** As `cannotMount`, for `FailingDisk`. */
export async function cannotFail(): Promise<string | false> {
  const found = await run('sh', ['-c', 'command -v mkfs.ext4 && losetup -f']).catch(() => undefined);
  return found === undefined ? 'needs loop devices and: apt-get install e2fsprogs' : cannotMount();
}

/** A folder on a disk of its own that is really full when it is full. Its mount goes with it. */
export class SmallDisk implements AsyncDisposable {
  readonly path: string;
  readonly #folder: AsyncDisposable;

  protected constructor(path: string, folder: AsyncDisposable) {
    this.path = path;
    this.#folder = folder;
  }

  static async mount(sizeBytes: number, { inodes = 0 }: { inodes?: number } = {}): Promise<SmallDisk> {
    const folder = await tempFolder();
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},nr_inodes=${inodes}`, 'tmpfs', folder.path]);
    return new SmallDisk(folder.path, folder);
  }

  /** A file that somebody else has on the disk, of as many bytes as it takes; removed by its name `ballast`. */
  async fill(bytes: number): Promise<void> {
    await writeFile(join(this.path, 'ballast'), Buffer.alloc(bytes));
  }

  /** The ballast takes all that is left: not a block stays. */
  async fillToTheBrim(): Promise<void> {
    const file = await open(join(this.path, 'ballast'), 'a');
    try {
      for (const block of [Buffer.alloc(2 ** 20), Buffer.alloc(4096)]) await appendUntilFull(file, block);
    } finally {
      await file.close();
    }
  }

  async empty(): Promise<void> {
    await rm(join(this.path, 'ballast'), { force: true });
  }

  /** From now on it can only be read; nobody may have a file open on it for writing. */
  async makeReadOnly(): Promise<void> {
    await run('mount', ['-o', 'remount,ro', this.path]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run('umount', [this.path]).catch(() => run('umount', ['-l', this.path]));
    await this.#folder[Symbol.asyncDispose]();
  }
}

async function appendUntilFull(file: FileHandle, block: Uint8Array): Promise<void> {
  for (;;) {
    const written = await file.write(block).catch(() => undefined);
    if (written?.bytesWritten !== block.byteLength) return;
  }
}

/** A disk that can be made to fail: from then on it can only be read, whoever has files open on it for writing. */
export class FailingDisk extends SmallDisk {
  readonly #image: AsyncDisposable;

  private constructor(path: string, folder: AsyncDisposable, image: AsyncDisposable) {
    super(path, folder);
    this.#image = image;
  }

  static async make(sizeBytes: number): Promise<FailingDisk> {
    const image = await tempFolder();
    const file = join(image.path, 'disk');
    await writeFile(file, '');
    await truncate(file, sizeBytes);
    await run('mkfs.ext4', ['-q', '-O', '^has_journal', file]);
    const folder = await tempFolder();
    await run('mount', ['-o', 'loop,errors=remount-ro', file, folder.path]);
    return new FailingDisk(folder.path, folder, image);
  }

  async fail(): Promise<void> {
    const { stdout } = await run('findmnt', ['-no', 'SOURCE', this.path]);
    await writeFile(`/sys/fs/ext4/${basename(stdout.trim())}/trigger_fs_error`, 'failed by the test');
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await this.#image[Symbol.asyncDispose]();
  }
}
