import { close, fstat, fstatSync, open } from 'node:fs';
import { promisify } from 'node:util';
import type { Digest } from '../../core/digest.ts';
import type { FileView } from '../content-store.ts';
import { FileIds } from '../file-ids.ts';
import { FileLeases, type LeaseWord, LeaseWords } from '../file-leases.ts';
import { type FileIdentity, identityOf } from './file-identity.ts';
import { areDescriptorsFew, isMissing } from './storage-error.ts';

/** One holder's use of an open file. */
export interface HeldFile {
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Valid until `close`. */
  readonly fd: number;
  /** The same object for all who hold the same open file. */
  readonly view: FileView;
  /** The file as it was when it was opened. */
  readonly identity: FileIdentity;
  /** The file as it is now. */
  identify(): Promise<FileIdentity>;
  /** Another hold of it, for as long as this one lasts at least. */
  again(): HeldFile;
  /** It is worth being open after its last holder has left. */
  keepOpen(): void;
  /** For a gateway to read it after this hold, too. Undefined where it is not what the next reader would get. */
  lease(gateway: number): LeaseWord | undefined;
  /** Idempotent. */
  close(): void;
}

// Not a FileHandle, which ends the process where it is left open: what a gateway still reads has to be.
const openFile = promisify(open);
const closeFile = promisify(close);
const statFile = promisify(fstat);

interface OpenFile {
  readonly digest: Digest;
  readonly view: FileView;
  readonly sizeBytes: number;
  readonly identity: FileIdentity;
  readonly leases: FileLeases;
  holders: number;
  /** Somebody wants to find it open later. */
  isKept: boolean;
  isClosed: boolean;
}

export interface OpenFilesDeps {
  readonly fileIds: FileIds;
  /** Called when files that gateways have leases on are forgotten: they are to ask again. */
  readonly leasesLost: () => void;
}

export interface OpenFilesOptions {
  /** So many files that nobody holds stay open, for the next ones who want them. */
  readonly maxIdle: number;
}

/**
 * The descriptors of committed content: one per digest, shared by its readers and counted, and kept for a while after the
 * last of them has left.
 *
 * Invariants
 * - A file is listed from when it was found sound until it is forgotten or let go; only a listed file is shared or leased.
 *   One that nobody holds is closed unless it is kept. Then it is idle (`#idle`, at most `maxIdle`, what was used last at the
 *   end), or, if a gateway was reading it when it was to be closed, remote (`#remote`) until that has left. Forgotten, it
 *   lingers (`#lingering`) until both its holders and its gateways have left.
 * - A descriptor is closed once nobody holds the file and every lease on it was taken back, in that tick; so whoever reads
 *   under a hold or in a lease never reads another file that got the same number.
 * - An idle file is looked at before it is shared again: one that was written to, renamed or removed meanwhile is forgotten.
 *   Leases are not looked at: who gives them bounds them in time.
 * - Being idle, or having leases that nobody is in, is no use: `letGo` ends both in the tick in which content is to leave.
 *   Between that tick and the end of the digest's turn nobody opens it.
 * - `open` runs in the digest's turn (`DigestQueue`), so two descriptors of one digest arise only around a `forget`.
 * - A gateway's thread that died is written off (`gatewayEnded`); a crash of the process leaves nothing.
 */
export class OpenFiles implements AsyncDisposable {
  readonly #deps: OpenFilesDeps;
  readonly #options: OpenFilesOptions;
  readonly #words = new LeaseWords();
  readonly #files = new Map<Digest, OpenFile>();
  readonly #idle = new Set<OpenFile>();
  readonly #remote = new Set<OpenFile>();
  readonly #lingering = new Set<OpenFile>();
  /** Being looked at before anybody reads them. */
  readonly #opening = new Set<Digest>();
  readonly #closing = new Set<Promise<void>>();

  constructor(
    deps: OpenFilesDeps = { fileIds: new FileIds(), leasesLost: () => {} },
    options: OpenFilesOptions = { maxIdle: 0 },
  ) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Whether somebody reads it now, here or in a gateway, or is about to. */
  isOpen(digest: Digest): boolean {
    const file = this.#files.get(digest);
    return (file !== undefined && isUsed(file)) || this.#opening.has(digest);
  }

  /** What is read now, with its size. */
  *entries(): Generator<{ readonly digest: Digest; readonly sizeBytes: number }> {
    for (const file of this.#files.values()) if (isUsed(file)) yield file;
  }

  /** Whether the next reader of the digest would get this file. */
  isListed({ digest, view }: HeldFile): boolean {
    return this.#files.get(digest)?.view === view;
  }

  /** Another holder of a file that is open already. */
  share(digest: Digest): HeldFile | undefined {
    const file = this.#files.get(digest);
    if (file === undefined) return undefined;
    if (file.holders > 0 || isAsItWas(file)) return this.#hold(file);
    this.forget(digest);
    return undefined;
  }

  /** Another hold of the very file, listed or not, that a gateway is in. */
  again(digest: Digest, fileId: number): HeldFile | undefined {
    const file = this.#files.get(digest);
    if (file?.view.fileId === fileId) return this.#hold(file);
    for (const left of this.#lingering) if (left.view.fileId === fileId) return this.#hold(left);
    return undefined;
  }

  /**
   * Opens the file for its first holder; undefined where there is none, or none that `isSound`: before that has been said
   * nobody shares it. Rejects with the system's error.
   */
  async open(
    digest: Digest,
    path: string,
    isSound: (file: HeldFile) => boolean | Promise<boolean>,
  ): Promise<HeldFile | undefined> {
    let fd: number;
    try {
      fd = await this.sparing(() => openFile(path, 'r'));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    this.#opening.add(digest);
    try {
      const status = await statFile(fd, { bigint: true });
      const [sizeBytes, identity] = [Number(status.size), identityOf(status)];
      const view = { kind: 'file', fd, fileId: this.#deps.fileIds.next(), sizeBytes } as const;
      const leases = new FileLeases(this.#words);
      const file: OpenFile = { digest, view, sizeBytes, identity, leases, holders: 0, isKept: false, isClosed: false };
      const held = this.#hold(file);
      const verdict = isSound(held);
      if (verdict === true || (await verdict)) {
        this.#files.set(digest, file);
        return held;
      }
    } catch (error) {
      await closeFile(fd);
      throw error;
    } finally {
      this.#opening.delete(digest);
    }
    await closeFile(fd);
    return undefined;
  }

  /** Lets those who read it finish, but shares it with nobody else: the content is bad, or another file has its place. */
  forget(digest: Digest): void {
    const file = this.#files.get(digest);
    if (file === undefined) return;
    this.#files.delete(digest);
    this.#idle.delete(file);
    this.#remote.delete(file);
    if (file.leases.size > 0) this.#deps.leasesLost();
    this.#closeUnlisted(file);
  }

  /** Closes what nobody reads; says whether nobody reads it. From then on only `open` lets anybody in. */
  letGo(digest: Digest): boolean {
    if (this.#opening.has(digest)) return false;
    const file = this.#files.get(digest);
    if (file === undefined) return true;
    if (file.holders > 0 || !file.leases.takeBack()) return false;
    this.#files.delete(digest);
    this.#close(file);
    return true;
  }

  /** Does what needs a descriptor; where the process has none left, half of those go that nobody needs, and it is done again. */
  async sparing<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!areDescriptorsFew(error) || this.#idle.size === 0) throw error;
      this.#boundIdle(Math.floor(this.#idle.size / 2));
      await this.closed();
      return await work();
    }
  }

  /** The gateway's thread is over, whatever it was in the middle of. */
  gatewayEnded(gateway: number): void {
    for (const file of [...this.#files.values(), ...this.#lingering]) file.leases.writeOff(gateway);
    this.#sweep();
  }

  /** Resolves once what has been closed so far is closed for the system, too: then the disk has its room back. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  /** After all who hold files. What a gateway is still in stays open: better that than another file under its number. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of [...this.#files.values(), ...this.#lingering]) if (file.leases.takeBack()) this.#close(file);
    this.#files.clear();
    this.#lingering.clear();
    await this.closed();
  }

  #hold(file: OpenFile): HeldFile {
    file.holders++;
    this.#idle.delete(file);
    this.#remote.delete(file);
    const { digest, view, sizeBytes, identity } = file;
    let isClosed = false;
    return {
      digest,
      sizeBytes,
      fd: view.fd,
      view,
      identity,
      identify: async () => identityOf(await statFile(view.fd, { bigint: true })),
      again: () => this.#hold(file),
      keepOpen: () => {
        file.isKept = true;
      },
      lease: (gateway) => {
        if (this.#files.get(digest) !== file) return undefined;
        file.isKept = true;
        return file.leases.of(gateway);
      },
      close: () => {
        if (isClosed) return;
        isClosed = true;
        if (--file.holders === 0) this.#left(file);
      },
    };
  }

  #left(file: OpenFile): void {
    this.#sweep();
    if (this.#files.get(file.digest) !== file) return this.#closeUnlisted(file);
    if (!file.isKept && this.letGo(file.digest)) return;
    this.#idle.add(file);
    this.#boundIdle(this.#options.maxIdle);
  }

  #boundIdle(most: number): void {
    for (const oldest of this.#idle) {
      if (this.#idle.size <= most) return;
      if (this.letGo(oldest.digest)) continue;
      this.#idle.delete(oldest);
      this.#remote.add(oldest);
    }
  }

  /** At once, or when those who read it are gone. */
  #closeUnlisted(file: OpenFile): void {
    const isFree = file.leases.takeBack();
    if (isFree && file.holders === 0) this.#close(file);
    else this.#lingering.add(file);
  }

  /** Gateways tell nobody when they leave: whoever comes or leaves here looks what has come free. */
  #sweep(): void {
    for (const file of this.#lingering) if (file.holders === 0 && file.leases.takeBack()) this.#close(file);
    for (const file of this.#remote) {
      if (file.leases.isUsed) continue;
      this.#remote.delete(file);
      this.#idle.add(file);
    }
  }

  #close(file: OpenFile): void {
    this.#idle.delete(file);
    this.#remote.delete(file);
    this.#lingering.delete(file);
    // By now its number may be another file's.
    if (file.isClosed) return;
    file.isClosed = true;
    const closing: Promise<void> = closeFile(file.view.fd).then(
      () => void this.#closing.delete(closing),
      () => void this.#closing.delete(closing),
    );
    this.#closing.add(closing);
  }
}

function isUsed({ holders, leases }: OpenFile): boolean {
  return holders > 0 || leases.isUsed;
}

/** Whether the file is the one with this name still, and nobody has written to it, as far as the system tells. */
function isAsItWas({ view, identity }: OpenFile): boolean {
  try {
    return identityOf(fstatSync(view.fd, { bigint: true })) === identity;
  } catch {
    return false;
  }
}
