import type { Tally } from '../../../src/cli/demo/tally.ts';
import type { Digest } from '../../../src/core/digest.ts';

/** What the upstream was asked for and what it sent since the last reset. */
export interface UpstreamReport {
  readonly bodyBytes: number;
  readonly headManifest: number;
  readonly getManifest: number;
  readonly headBlob: number;
  readonly getBlob: number;
  readonly other: number;
  /** The most HEADs, and GETs, that one tag or digest of a manifest got. */
  readonly maxHeadPerManifest: number;
  readonly maxGetPerManifest: number;
  /** The most bodies, in all and at the same time, and the most bytes sent again, of one blob. */
  readonly maxBodiesPerBlob: number;
  readonly maxConcurrentBodiesPerBlob: number;
  readonly repeatedBytes: number;
}

export function upstreamReport(tally: Tally, blobs: readonly Digest[]): UpstreamReport {
  const counted = {
    headManifest: tally.count({ kind: 'manifest', method: 'HEAD' }),
    getManifest: tally.count({ kind: 'manifest', method: 'GET' }),
    headBlob: tally.count({ kind: 'blob', method: 'HEAD' }),
    getBlob: tally.count({ kind: 'blob', method: 'GET' }),
  };
  const known = Object.values(counted).reduce((sum, count) => sum + count, 0);
  const most = (figure: (digest: Digest) => number) => Math.max(0, ...blobs.map(figure));
  return {
    ...counted,
    other: tally.count() - known,
    bodyBytes: tally.bytesSent(),
    maxHeadPerManifest: maxPerReference(tally, 'HEAD'),
    maxGetPerManifest: maxPerReference(tally, 'GET'),
    maxBodiesPerBlob: most((digest) => tally.bodies(digest).length),
    maxConcurrentBodiesPerBlob: most((digest) => tally.concurrency(digest).max),
    repeatedBytes: blobs.reduce((sum, digest) => sum + tally.repeatedBytes(digest), 0),
  };
}

function maxPerReference(tally: Tally, method: string): number {
  const counts = new Map<string, number>();
  for (const { repository, reference } of tally.requests({ kind: 'manifest', method })) {
    const key = `${repository}@${reference}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}
