import { SharedUse } from '../../../core/shared-use.ts';
import type { BlobAnswer, BlobLease, BlobRequest } from '../../../pull/depot.ts';
import { TestDepot } from '../../testing/test-depot.ts';

/** A depot that gives leases on all that it has, of one word each, to whoever can serve from one. */
export class LeasingDepot extends TestDepot {
  readonly leases: { readonly lease: BlobLease; readonly use: SharedUse }[] = [];

  override async blob(request: BlobRequest, signal: AbortSignal): Promise<BlobAnswer> {
    const answer = await super.blob(request, signal);
    const content = this.contents.get(request.digest);
    const { keep } = this;
    if (answer.kind !== 'body' || keep === undefined || content === undefined) return answer;
    if (request.gateway === undefined) return answer;
    const words = new SharedArrayBuffer(4);
    const fileId = content.fd;
    const lease = { fd: content.fd, fileId, sizeBytes: content.bytes.length, words, index: 0, keep };
    this.leases.push({ lease, use: new SharedUse(new Int32Array(words), 0) });
    return { ...answer, lease };
  }
}
