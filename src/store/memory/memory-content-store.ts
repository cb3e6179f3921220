import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChangeCount } from '../../core/change-count.ts';
import type { Digest } from '../../core/digest.ts';
import { AppError } from '../../core/errors.ts';
import type { ContentStore, FileView, PartialBlob, Room, StoredBlob } from '../content-store.ts';
import { FileIds } from '../file-ids.ts';
import { FileLeases, LeaseWords } from '../file-leases.ts';
import { readFully, writeFully } from '../fs/file-io.ts';
import { emptyRecord, filledIntervals, type PartialRecord } from '../fs/partial-record.ts';

interface Content {
  readonly file: FileHandle;
  readonly view: FileView;
  readonly sizeBytes: number;
  readonly leases: FileLeases;
}

interface Fill {
  readonly file: FileHandle;
  record: PartialRecord;
}

/**
 * Content that lives as long as the process, for tests. The port promises descriptors, so every blob is a temporary file
 * without a name: open until the store is disposed of, and gone then, however the process ends. No bounds, no eviction; so a
 * lease is taken back only when its content is condemned, and its descriptor stays valid even then.
 */
export class MemoryContentStore implements ContentStore, AsyncDisposable {
  readonly #committed = new Map<Digest, Content>();
  /** All that there ever was. */
  readonly #contents = new Map<number, Content>();
  readonly #fileIds = new FileIds();
  readonly #words = new LeaseWords();
  readonly #changes: ChangeCount;
  readonly #left = new Map<Digest, Fill>();
  readonly #open = new Set<Digest>();
  readonly #files = new Set<FileHandle>();

  constructor(deps: { readonly changes: ChangeCount } = { changes: new ChangeCount() }) {
    this.#changes = deps.changes;
  }

  async sizeOf(digest: Digest): Promise<number | undefined> {
    return this.#committed.get(digest)?.sizeBytes;
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    const content = this.#committed.get(digest);
    if (content === undefined) return undefined;
    const { sizeBytes, view, leases } = content;
    const lease = (gateway: number) => {
      if (this.#committed.get(digest) !== content) return undefined;
      const { words, index } = leases.of(gateway);
      return { words, index, untilMs: Number.MAX_SAFE_INTEGER };
    };
    return { digest, sizeBytes, fd: view.fd, view, proof: undefined, hurry: () => {}, lease, close: () => {} };
  }

  partialBytes(digest: Digest): number {
    const { filled = [] } = this.#left.get(digest)?.record ?? {};
    return filled.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  async read(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    const content = this.#committed.get(digest);
    if (content === undefined) return undefined;
    if (content.sizeBytes > maxBytes) throw new AppError('STORAGE_FAILED', `${digest} is larger than ${maxBytes}`);
    const bytes = new Uint8Array(content.sizeBytes);
    await readFully(content.file.fd, bytes, 0);
    return bytes;
  }

  look(digest: Digest, maxBytes: number): Promise<Uint8Array | undefined> {
    return this.read(digest, maxBytes);
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (this.#committed.has(digest)) return;
    const file = await this.#namelessFile();
    await writeFully(file, bytes, 0);
    this.#commit(digest, file, bytes.byteLength);
  }

  async openPartial(digest: Digest): Promise<PartialBlob> {
    if (this.#open.has(digest)) throw new AppError('INTERNAL', `${digest} is being filled already`);
    this.#open.add(digest);
    const left = this.#left.get(digest);
    this.#left.delete(digest);
    const record = left?.record ?? emptyRecord;
    const filled = left === undefined ? [] : filledIntervals(record, (await left.file.stat()).size);
    // What nobody vouches for is not resumed; a new file leaves the old one to who holds it.
    const file = left === undefined || filled.length === 0 ? await this.#namelessFile() : left.file;
    const fill = { file, record };
    return this.#partial(digest, fill, { filled, sizeBytes: fill.record.sizeBytes });
  }

  async makeRoom(): Promise<Room> {
    return 'enough';
  }

  /** Nothing is evicted here. */
  keep(): () => void {
    return () => {};
  }

  async condemn(digest: Digest, fd: number): Promise<void> {
    const content = this.#committed.get(digest);
    if (content?.view.fd !== fd) return;
    this.#committed.delete(digest);
    content.leases.takeBack();
    this.#changes.bump();
  }

  leased(digest: Digest, fileId: number): StoredBlob | undefined {
    const content = this.#contents.get(fileId);
    if (content === undefined) return undefined;
    const { sizeBytes, view } = content;
    return { digest, sizeBytes, fd: view.fd, view, proof: undefined, hurry: () => {}, close: () => {} };
  }

  gatewayEnded(gateway: number): void {
    for (const { leases } of this.#committed.values()) leases.writeOff(gateway);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#files].map((file) => file.close()));
    this.#files.clear();
  }

  #commit(digest: Digest, file: FileHandle, sizeBytes: number): void {
    const view = { kind: 'file', fd: file.fd, fileId: this.#fileIds.next(), sizeBytes } as const;
    const content = { file, view, sizeBytes, leases: new FileLeases(this.#words) };
    this.#committed.set(digest, content);
    this.#contents.set(view.fileId, content);
  }

  #partial(digest: Digest, fill: Fill, resumed: PartialRecord): PartialBlob {
    let isSettled = false;
    let isClosed = false;
    const settle = () => {
      if (isSettled) throw new AppError('INTERNAL', `the fill of ${digest} has ended before`);
      isSettled = true;
    };
    return {
      digest,
      fd: fill.file.fd,
      fileId: this.#fileIds.next(),
      resumed,
      write: (bytes, offset) => writeFully(fill.file, bytes, offset),
      record: async (filled, sizeBytes) => {
        fill.record = { filled: [...filled], sizeBytes };
      },
      commit: async (sizeBytes) => {
        settle();
        const { size } = await fill.file.stat();
        if (size < sizeBytes) throw new AppError('STORAGE_FAILED', `the file has ${size} of ${sizeBytes} bytes`);
        await fill.file.truncate(sizeBytes);
        this.#commit(digest, fill.file, sizeBytes);
      },
      discard: async () => settle(),
      // Descriptors live as long as the store, so a hold keeps nothing that would go.
      hold: () => () => {},
      close: async () => {
        if (isClosed) return;
        isClosed = true;
        this.#open.delete(digest);
        if (!isSettled) this.#left.set(digest, fill);
      },
    };
  }

  async #namelessFile(): Promise<FileHandle> {
    const folder = await mkdtemp(join(tmpdir(), 'onepull-memory-'));
    try {
      const file = await open(join(folder, 'blob'), 'w+');
      this.#files.add(file);
      return file;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
