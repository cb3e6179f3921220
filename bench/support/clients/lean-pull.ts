import { createHash } from 'node:crypto';
import { type Digest, parseDigest } from '../../../src/core/digest.ts';
import { manifestMediaTypes } from '../../../src/core/media-types.ts';
import { LeanConnection, type Sink } from './lean-connection.ts';

export interface PullTarget {
  /** `http://host:port` */
  readonly origin: string;
  readonly repository: string;
  readonly tag: string;
}

export interface PullOutcome {
  /** `unfinished`: still running when its time was up. */
  readonly result: 'complete' | 'failed' | 'unfinished';
  /** From before the first connection to the last byte. */
  readonly totalMs: number;
  /** Until the first byte of the first blob. */
  readonly firstByteMs: number | undefined;
  readonly bytes: number;
  readonly error?: string;
}

interface Descriptor {
  readonly digest: Digest;
  readonly size: number;
}

/** As containerd's default of max_concurrent_downloads. */
const blobsAtOnce = 3;
const accept = manifestMediaTypes.join(', ');

/**
 * Pulls an image as containerd does: HEAD by the tag, GET of the manifest by its digest, then config and layers, three at
 * once. Checks every status and length; the digests too where `verify` says so. Never rejects.
 */
export async function leanPull(
  target: PullTarget,
  options: { verify: boolean; deadlineMs: number },
): Promise<PullOutcome> {
  const startedAt = performance.now();
  let [bytes, firstByteMs]: [number, number | undefined] = [0, undefined];
  let outOfTime = false;
  using connections = new DisposableStack();
  const connection = () => connections.use(new LeanConnection(target.origin));
  const timer = setTimeout(() => {
    outOfTime = true;
    connections.dispose();
  }, options.deadlineMs);
  const received: Sink = (chunk) => {
    firstByteMs ??= performance.now() - startedAt;
    bytes += chunk.length;
  };
  const end = (result: PullOutcome['result'], error?: string): PullOutcome => {
    return { result, totalMs: performance.now() - startedAt, firstByteMs, bytes, ...(error && { error }) };
  };
  try {
    const first = connection();
    const manifest = await fetchManifest(first, target);
    bytes += manifest.bytes;
    const left = manifest.blobs.values();
    const worker = async (own: LeanConnection) => {
      for (const blob of left) await fetchBlob(own, target.repository, blob, { verify: options.verify, received });
    };
    const others = Array.from({ length: Math.min(blobsAtOnce, manifest.blobs.length) - 1 }, connection);
    await Promise.all([first, ...others].map(worker));
    return end('complete');
  } catch (error) {
    return outOfTime ? end('unfinished') : end('failed', (error as Error).message);
  } finally {
    clearTimeout(timer);
  }
}

export interface PullPlan {
  readonly blobs: readonly Descriptor[];
  /** The manifest's own. */
  readonly bytes: number;
}

export async function fetchManifest(connection: LeanConnection, { repository, tag }: PullTarget): Promise<PullPlan> {
  const path = (reference: string) => `/v2/${repository}/manifests/${reference}`;
  const head = await connection.request('HEAD', path(tag), { accept }, () => {});
  const digest = parseDigest(head.headers.get('docker-content-digest') ?? '');
  if (head.status !== 200 || digest === undefined) throw new Error(`HEAD of the tag: status ${head.status}`);
  const chunks: Buffer[] = [];
  const got = await connection.request('GET', path(digest), { accept }, (chunk) => chunks.push(Buffer.from(chunk)));
  const text = Buffer.concat(chunks).toString();
  if (got.status !== 200) throw new Error(`GET of the manifest: status ${got.status} ${text.slice(0, 200)}`);
  const { config, layers } = JSON.parse(text) as { config: Descriptor; layers: Descriptor[] };
  return { blobs: [config, ...layers], bytes: got.bodyBytes };
}

async function fetchBlob(
  connection: LeanConnection,
  repository: string,
  { digest, size }: Descriptor,
  { verify, received }: { verify: boolean; received: Sink },
): Promise<void> {
  const hash = verify ? createHash('sha256') : undefined;
  const sink: Sink = (chunk) => {
    received(chunk);
    hash?.update(chunk);
  };
  const { status, bodyBytes } = await connection.request('GET', `/v2/${repository}/blobs/${digest}`, {}, sink);
  if (status !== 200) throw new Error(`GET of a blob: status ${status}`);
  if (bodyBytes !== size) throw new Error(`a blob of ${size} bytes came with ${bodyBytes}`);
  if (hash !== undefined && `sha256:${hash.digest('hex')}` !== digest) throw new Error('a blob has the wrong digest');
}
