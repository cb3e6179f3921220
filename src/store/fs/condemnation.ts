import { fstatSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import type { Channels, QuarantineEvent } from '../../telemetry/channels.ts';
import type { DigestQueue } from './digest-queue.ts';
import type { Disk } from './disk.ts';
import { type FileIdentity, identityAt, identityOf, isSameFile } from './file-identity.ts';
import type { Layout } from './layout.ts';
import type { HeldFile, OpenFiles } from './open-files.ts';
import type { ProofLedger } from './proof-ledger.ts';
import type { Quarantine } from './quarantine.ts';
import type { SteadyBlobs } from './steady-blobs.ts';
import { reasonOf } from './storage-error.ts';

export interface CondemnationDeps {
  readonly disk: Disk;
  readonly channels: Channels;
  readonly layout: Layout;
  readonly blobs: Pick<SteadyBlobs, 'remove'>;
  readonly queue: Pick<DigestQueue, 'run'>;
  readonly files: Pick<OpenFiles, 'forget' | 'isListed'>;
  readonly ledger: Pick<ProofLedger, 'wrong'>;
  readonly quarantine: Pick<Quarantine, 'take'>;
}

type Finder = QuarantineEvent['foundBy'];

/**
 * Takes damaged content out of the store. Repositories keep their links, so it is fetched again; who has it open keeps it.
 *
 * Invariants: all of it runs in the digest's turn (`DigestQueue`), row and file together. What cannot be put away (the disk
 * takes no changes) is remembered instead, and is a miss for as long as it stays as it is.
 */
export class Condemnation {
  readonly #deps: CondemnationDeps;

  constructor(deps: CondemnationDeps) {
    this.#deps = deps;
  }

  /** Of the file that `fd` has open at the call, unless another has its place when the digest's turn comes. */
  async opened(digest: Digest, fd: number, reason: string): Promise<void> {
    const { files, blobs, layout, queue } = this.#deps;
    // In the caller's turn: a moment later the descriptor may be closed, and be another file's.
    const identity = identityOf(fstatSync(fd, { bigint: true }));
    await queue.run(digest, async () => {
      const there = await identityAt(layout.blob(digest));
      if (there === identity) return this.inTurn(digest, there, reason, 'serving');
      if (there !== undefined) return;
      files.forget(digest);
      blobs.remove(digest);
    });
  }

  /** Of this file, unless another has its place by now. Never rejects. */
  file(held: HeldFile, reason: string, foundBy: Finder): Promise<void> {
    const { files, layout, queue } = this.#deps;
    const { digest, identity } = held;
    return queue.run(digest, async () => {
      if (files.isListed(held)) files.forget(digest);
      const there = await identityAt(layout.blob(digest));
      if (there !== undefined && isSameFile(there, identity)) await this.inTurn(digest, there, reason, foundBy);
    });
  }

  /** For who has the digest's turn already. */
  async inTurn(digest: Digest, identity: FileIdentity, reason: string, foundBy: Finder): Promise<void> {
    const { blobs, channels, disk, files, layout, ledger, quarantine } = this.#deps;
    files.forget(digest);
    blobs.remove(digest);
    ledger.wrong(digest, identity);
    let became = 'is in quarantine';
    try {
      await quarantine.take(digest).catch(() => disk.remove(layout.blob(digest)));
    } catch (error) {
      became = `cannot be put away (${reasonOf(error)})`;
    }
    const message = `${digest} is damaged on disk (${reason}); it ${became} and will be fetched again`;
    channels.quarantine.publish({ digest, foundBy, reason });
    channels.notice.publish({ level: 'error', message, fields: { digest } });
  }
}
